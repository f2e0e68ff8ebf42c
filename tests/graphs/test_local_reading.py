"""What the local backend runs of a manifest, and what it says of the rest."""

import pytest
from fairtrial_graphs.backends.interface import Unsupported
from fairtrial_graphs.backends.local.reading import Mirror, read_plan
from fairtrial_graphs.build import Arm, Shadow, build
from fairtrial_graphs.seldon.text import parse

HAND_WRITTEN = """
apiVersion: machinelearning.seldon.io/v1
kind: SeldonDeployment
metadata: {name: d}
spec:
  protocol: PROTOCOL
  SPEC: x
  predictors:
  - name: p
    PREDICTOR: x
    componentSpecs:
    - spec: {containers: [{name: m, CONTAINER: x}]}
    graph: {name: m, implementation: SKLEARN_SERVER, modelUri: /models/m, NODE: x}
"""


def manifest(**fields: str) -> str:
    text = HAND_WRITTEN.replace("PROTOCOL", fields.pop("protocol", "v2"))
    for place in ("SPEC", "PREDICTOR", "CONTAINER", "NODE"):
        text = text.replace(f"{place}: x", fields.pop(place.lower(), f"x-{place.lower()}: x"))
    assert not fields
    return text


def test_a_hand_written_manifest_is_read():
    container = 'image: "mlserver:1", env: [{name: OMP_NUM_THREADS, value: "2"}]'
    node = "parameters: [{name: threshold, value: '0.5', type: FLOAT}]"
    plan = read_plan(parse(manifest(container=container, node=node, predictor="replicas: 3")))
    (model,) = plan.models
    assert (model.predictor, model.node, model.implementation) == ("p", "m", "SKLEARN_SERVER")
    assert (model.model_uri, model.parameters) == ("/models/m", {"threshold": "0.5"})
    assert model.env == {"OMP_NUM_THREADS": "2"}
    assert plan.weights == {"p": 100}
    assert plan.mirror is None
    assert plan.ignored == (
        "spec.predictors.0.replicas: one process serves p on this machine",
        "spec.predictors.0.componentSpecs: p runs here without its image mlserver:1",
    )


@pytest.mark.parametrize(("traffic", "percent"), [(100, 100), (20, 20), (0, 100)])
def test_a_shadow_is_a_mirror_and_no_traffic_means_all_of_it(traffic: int, percent: int):
    arms = [Arm("v1", "m", "I"), Arm("v2", "m", "I")]
    deployment = build("d", arms, {"v1": 70, "v2": 30}, shadow=Shadow(Arm("v3", "m", "I")))
    deployment.spec.predictors[2].traffic = traffic
    plan = read_plan(deployment)
    assert plan.weights == {"v1": 70, "v2": 30}
    assert plan.mirror == Mirror("v3", percent)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"protocol": "seldon"}, 'spec.protocol: the local backend speaks "v2" only, and this says "seldon"'),
        ({"protocol": "null"}, "spec.protocol: the local backend"),
        ({"spec": "transport: grpc"}, "spec.transport: "),
        (
            {
                "spec": "serverType: kafka",
                "predictor": "svcOrchSpec: {env: [{name: KAFKA_BROKER}, {name: KAFKA_INPUT_TOPIC}, "
                "{name: KAFKA_OUTPUT_TOPIC}]}",
            },
            "spec.serverType: ",
        ),
        (
            {"node": "children: [{name: c, implementation: SKLEARN_SERVER, modelUri: x}]"},
            "spec.predictors.0.graph.children: the local backend runs one model a predictor, not a graph (c)",
        ),
        ({"node": "type: TRANSFORMER"}, "spec.predictors.0.graph.type: the local backend runs models only"),
        ({"container": "args: [--x]"}, "(container m): the local backend starts its own server"),
        (
            {"container": "envFrom: [{secretRef: {name: s}}]"},
            "(container m).envFrom: there are no ConfigMaps",
        ),
        (
            {"container": "env: [{name: T, valueFrom: {secretKeyRef: {name: s, key: k}}}]"},
            "(container m).env: T has a valueFrom",
        ),
    ],
)
def test_what_cannot_run_here_is_refused_by_the_name_of_its_field(fields: dict[str, str], sentence: str):
    with pytest.raises(Unsupported) as error:
        read_plan(parse(manifest(**fields)))
    assert sentence in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_container_of_its_own_is_refused():
    text = manifest().replace("implementation: SKLEARN_SERVER, modelUri: /models/m, ", "")
    with pytest.raises(Unsupported, match="cannot run a container image; name an implementation"):
        read_plan(parse(text))


def test_what_seldon_core_would_refuse_is_refused_here_too_and_all_is_told_at_once():
    text = manifest(protocol="tensorflow", predictor="traffic: 60")
    with pytest.raises(Unsupported) as error:
        read_plan(parse(text))
    assert [line.partition(":")[0] for line in str(error.value).splitlines()] == [
        "spec.predictors.0.traffic",
        "spec.predictors.0.graph.implementation",
        "spec.protocol",
    ]


def test_a_shared_node_name_is_no_obstacle_because_the_proxy_says_who_answered():
    deployment = build("d", [Arm("v1", "m", "I"), Arm("v2", "m", "I")], {"v1": 50, "v2": 50})
    for predictor in deployment.spec.predictors:
        predictor.graph.name = "classifier"
    assert [model.node for model in read_plan(deployment).models] == ["classifier", "classifier"]
