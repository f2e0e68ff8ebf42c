"""The graph components, by the real seldon-core-microservice, behind the executor."""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fairtrial_graphs.backends.interface import Route, Serving
from fairtrial_graphs.backends.local import LocalBackend
from fairtrial_graphs.seldon.text import parse
from graphs.executor.served import ROW, ask
from graphs.standin import launcher

MICROSERVICE = (
    Path(__file__).parents[3] / "graphs" / "components" / ".venv" / "bin" / "seldon-core-microservice"
)
#: As the containers of a manifest have them: the image is the same for all.
IMAGE = "fairtrial-graph-components:0.1.0"
ARGS = {
    "thompson": ["fairtrial_graph_components.thompson_sampling.ThompsonSampling", "--service-type", "ROUTER"],
    "average": ["fairtrial_graph_components.average.Average", "--service-type", "COMBINER"],
    # The microservice knows no type of its own for what transforms outputs.
    "bridge": ["fairtrial_graph_components.v2_bridge.V2Bridge", "--service-type", "TRANSFORMER"],
    "constant": ["constant.Constant", "--service-type", "MODEL"],
}
STAND_INS = {"fairtrial-graph-components:*": [str(MICROSERVICE), "{args}"]}

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not MICROSERVICE.exists(),
        reason="the graph components are not installed (uv sync --project graphs/components)",
    ),
]


def serve(backend: LocalBackend, nodes: dict[str, str], graph: str) -> Serving:
    """A graph whose nodes run these components."""
    path = [{"name": "PYTHONPATH", "value": str(Path(__file__).parent)}]
    containers = [
        {"name": name, "image": IMAGE, "args": ARGS[component], "env": path}
        for name, component in nodes.items()
    ]
    manifest = f"""
apiVersion: machinelearning.seldon.io/v1
kind: SeldonDeployment
metadata: {{name: wine}}
spec:
  protocol: seldon
  predictors:
  - name: main
    svcOrchSpec: {{env: [{{name: SELDON_ENABLE_ROUTING_INJECTION, value: "true"}}]}}
    componentSpecs: [{{spec: {{containers: {json.dumps(containers)}}}}}]
    graph: {graph}
"""
    return backend.apply(parse(manifest), Route("r"), lambda _: None)


def model(name: str, answer: float) -> str:
    return f'{{name: {name}, type: MODEL, parameters: [{{name: answer, type: FLOAT, value: "{answer}"}}]}}'


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBackend]:
    folder = tmp_path_factory.mktemp("components")
    with LocalBackend(folder, launcher, stand_ins=STAND_INS, ready_timeout=120.0) as backend:
        yield backend


def bandit(backend: LocalBackend) -> Serving:
    nodes = {"router": "thompson", "v1": "constant", "v2": "constant"}
    graph = f"""
      name: router
      type: ROUTER
      parameters:
      - {{name: branch_names, type: STRING, value: "v1,v2"}}
      - {{name: seed, type: INT, value: "7"}}
      children: [{model("v1", 1)}, {model("v2", 2)}]"""
    return serve(backend, nodes, graph)


def test_a_bandit_learns_from_rewards_of_0_and_1_which_arm_is_better(backend: LocalBackend):
    url = bandit(backend).url

    def predict() -> Any:
        status, _, answer = ask(url, "/api/v1.0/predictions", ROW)
        assert status == 200, answer
        return answer

    def reward(answer: Any, value: float) -> None:
        status, _, said = ask(url, "/api/v1.0/feedback", {"response": answer, "reward": value})
        assert status == 200, said

    def taken(count: int) -> Counter[int]:
        return Counter(predict()["meta"]["routing"]["router"] for _ in range(count))

    before = taken(60)
    assert min(before[0], before[1]) > 12  # p < 1e-5 outside, with even chances
    for _ in range(120):  # v1 earns 0, and v2 nothing that is told: zeros alone must be enough
        answer = predict()
        branch = answer["meta"]["routing"]["router"]
        assert answer["data"]["ndarray"] == [[branch + 1.0]]
        if branch == 0:
            reward(answer, 0)
    assert taken(60)[1] > 40
    for _ in range(60):
        answer = predict()
        reward(answer, answer["meta"]["routing"]["router"])
    assert taken(60)[1] > 54

    status, _, said = ask(url, "/api/v1.0/feedback", {"reward": 1})
    assert status == 400
    assert "SELDON_ENABLE_ROUTING_INJECTION" in said["status"]["info"]


def test_a_bandit_learns_over_grpc(backend: LocalBackend):
    address = bandit(backend).arms["main"].grpc
    assert address is not None
    client = Path(__file__).with_name("seldon_client.py")
    argv = [str(MICROSERVICE.with_name("python")), str(client), address]
    said = json.loads(subprocess.run(argv, check=True, capture_output=True, timeout=120).stdout)
    routing = said["answer"]["meta"]["routing"]
    branch = routing["router"]
    assert routing == {"router": branch, f"v{branch + 1}": -1}
    assert said["answer"]["data"]["tensor"]["values"] == [branch + 1.0]
    assert said["puid"]
    assert said["later"].count(branch) < 8  # 60 zeros are known of this branch, and nothing of the other
    assert said["refused"] == "UNKNOWN"  # the microservice's own status, passed on


def test_v2_bodies_go_through_the_bridge_to_a_combiner_and_back(backend: LocalBackend):
    nodes = {"from-v2": "bridge", "to-v2": "bridge", "average": "average", "v1": "constant", "v2": "constant"}
    graph = f"""
      name: from-v2
      type: TRANSFORMER
      children:
      - name: to-v2
        type: OUTPUT_TRANSFORMER
        parameters: [{{name: to, type: STRING, value: v2}}, {{name: model_name, type: STRING, value: wine}}]
        children:
        - {{name: average, type: COMBINER, children: [{model("v1", 1)}, {model("v2", 2)}]}}"""
    url = serve(backend, nodes, graph).url
    x = {"name": "x", "datatype": "FP64", "shape": [2, 2], "data": [1.0, 2.0, 3.0, 4.0]}
    status, _, answer = ask(url, "/api/v1.0/predictions", {"id": "7", "inputs": [x]})
    assert status == 200, answer
    (output,) = answer["outputs"]
    assert (answer["id"], answer["model_name"]) == ("7", "wine")
    assert (output["datatype"], output["shape"], output["data"]) == ("FP64", [2, 1], [1.5, 1.5])
    status, _, answer = ask(url, "/api/v1.0/predictions", {"inputs": [{**x, "shape": [7]}]})
    assert (status, answer["status"]["info"]) == (400, "tensor x has 4 values, and its shape [7] takes 7")
