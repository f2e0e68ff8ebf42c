"""What the local backend runs of a manifest, and what it says of the rest."""

import json
import re

import pytest
from fairtrial_graphs.backends.interface import Unsupported
from fairtrial_graphs.backends.local.executor.graph import graph_from
from fairtrial_graphs.backends.local.reading import Mirror, read_plan
from fairtrial_graphs.backends.local.specs import ModelSpec, StandInSpec
from fairtrial_graphs.build import Arm, Shadow, build
from fairtrial_graphs.seldon.text import parse

QUEUE = "seldon.io/executor-logger-queue-size"
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
      COMPONENT: x
    graph: {name: m, implementation: SKLEARN_SERVER, modelUri: /models/m, NODE: x}
"""


def manifest(**fields: str) -> str:
    text = HAND_WRITTEN.replace("PROTOCOL", fields.pop("protocol", "v2"))
    for place in ("SPEC", "PREDICTOR", "COMPONENT", "CONTAINER", "NODE"):
        text = text.replace(f"{place}: x", fields.pop(place.lower(), f"x-{place.lower()}: x"))
    assert not fields
    return text


def test_a_hand_written_manifest_is_read():
    container = 'image: "mlserver:1", env: [{name: OMP_NUM_THREADS, value: "2"}]'
    node = "parameters: [{name: threshold, value: '0.5', type: FLOAT}]"
    plan = read_plan(parse(manifest(container=container, node=node, predictor="replicas: 3")))
    ((model,),) = (predictor.servers for predictor in plan.predictors)
    assert isinstance(model, ModelSpec)
    assert (plan.predictors[0].graph, plan.predictors[0].replicas) == (None, 3)
    assert (model.predictor, model.node, model.implementation) == ("p", "m", "SKLEARN_SERVER")
    assert (model.model_uri, model.parameters) == ("/models/m", {"threshold": "0.5"})
    assert model.env == {"OMP_NUM_THREADS": "2"}
    assert plan.weights == {"p": 100}
    assert plan.mirror is None
    assert plan.ignored == ("spec.predictors.0.componentSpecs: p runs here without its image mlserver:1",)


@pytest.mark.parametrize(
    ("fields", "replicas"),
    [
        ({}, 1),
        ({"spec": "replicas: 2"}, 2),
        ({"spec": "replicas: 2", "predictor": "replicas: 4"}, 4),
        ({"predictor": "replicas: 4", "component": "replicas: 3"}, 3),
    ],
)
def test_replicas_are_those_that_seldon_core_would_run(fields: dict[str, str], replicas: int):
    plan = read_plan(parse(manifest(**fields)))
    assert plan.predictors[0].replicas == replicas
    assert plan.ignored == ()


def test_a_predictor_scaled_to_zero_is_run_once_and_that_is_told():
    plan = read_plan(parse(manifest(predictor="replicas: 0")))
    assert plan.predictors[0].replicas == 1
    assert plan.ignored == ("spec.predictors.0.replicas: p has none, and one on this machine",)


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
        (
            {"protocol": "seldon"},
            'spec.protocol: SKLEARN_SERVER of node m speaks "v2" here, and this says "seldon"',
        ),
        ({"protocol": "null"}, "and this says nothing, which means seldon"),
        ({"spec": "transport: grpc"}, "spec.transport: "),
        (
            {
                "spec": "serverType: kafka",
                "predictor": "svcOrchSpec: {env: [{name: KAFKA_BROKER}, {name: KAFKA_INPUT_TOPIC}, "
                "{name: KAFKA_OUTPUT_TOPIC}]}",
            },
            "spec.serverType: ",
        ),
        ({"node": "type: SORTER"}, "spec.predictors.0.graph.type: there is no type SORTER"),
        ({"predictor": "annotations: {seldon.io/rest-timeout: soon}"}, "not a number of milliseconds"),
        ({"predictor": "annotations: {seldon.io/grpc-timeout: 1s}"}, "not a number of milliseconds"),
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


def test_a_model_with_a_logger_gets_an_executor_which_alone_logs():
    at = manifest(node="logger: {mode: request, url: 'http://log'}")
    (predictor,) = read_plan(parse(at)).predictors
    assert predictor.graph is not None
    assert (predictor.graph.root.log_url, predictor.graph.root.log_mode) == ("http://log", "request")
    assert (predictor.graph.log_queue, predictor.graph.root.type) == (10_000, "MODEL")
    assert graph_from(json.loads(json.dumps(predictor.graph.to_dict()))) == predictor.graph


def test_a_logger_without_a_url_posts_where_the_executor_is_told_to_or_it_is_told_that_nothing_is_logged():
    orchestrator = "svcOrchSpec: {env: [{name: REQUEST_LOGGER_DEFAULT_ENDPOINT, value: 'http://broker'}]}"
    bare = "logger: {mode: all}"
    (predictor,) = read_plan(parse(manifest(node=bare, predictor=orchestrator))).predictors
    assert predictor.graph is not None
    assert predictor.graph.root.log_url == "http://broker"
    plan = read_plan(parse(manifest(node=bare)))
    assert plan.predictors[0].graph is None
    assert plan.ignored == (
        "spec.predictors.0.graph.logger: requests to p are not logged: "
        "there is no broker here; give it a url",
    )


@pytest.mark.parametrize("queue", ["0", "many"])
def test_a_queue_of_no_size_is_refused(queue: str):
    text = manifest().replace("{name: d}", f"{{name: d, annotations: {{{QUEUE}: '{queue}'}}}}")
    with pytest.raises(Unsupported, match="not a number of messages"):
        read_plan(parse(text))
    text = (
        text.replace(f"'{queue}'", "'22'")
        .replace("NODE", "x")
        .replace("modelUri: /models/m", "modelUri: /models/m, logger: {mode: all, url: x}")
    )
    graph = read_plan(parse(text)).predictors[0].graph
    assert graph is not None
    assert graph.log_queue == 22


OWN_IMAGE = manifest(container='image: "reg/own:1", env: [{name: A, value: b}]').replace(
    "implementation: SKLEARN_SERVER, modelUri: /models/m, ", ""
)


def test_an_image_without_a_stand_in_is_refused_and_told_what_to_give():
    with pytest.raises(Unsupported) as error:
        read_plan(parse(OWN_IMAGE), {"other:*": ["serve"]})
    assert str(error.value) == (
        "spec.predictors.0.graph: node m runs the image reg/own:1, which needs a stand-in on this machine; "
        "give the command that serves it, as in --stand-in 'reg/own:1=COMMAND'"
    )


def test_a_stand_in_has_the_environment_that_seldon_core_gives():
    plan = read_plan(parse(OWN_IMAGE.replace("NODE: x", "x: x")), {"reg/*": ["serve", "Own"], "*": ["never"]})
    (server,) = plan.predictors[0].servers
    assert isinstance(server, StandInSpec)
    assert server.command == ("serve", "Own")
    assert server.env["A"] == "b"
    assert (server.env["PREDICTIVE_UNIT_ID"], server.env["PREDICTIVE_UNIT_IMAGE"]) == ("m", "reg/own:1")
    graph = plan.predictors[0].graph
    assert graph is not None
    assert (graph.protocol, graph.root.type, graph.root.image) == ("v2", "MODEL", "reg/own:1")


def test_one_image_of_several_components_is_told_apart_by_the_containers_args():
    text = OWN_IMAGE.replace("NODE: x", "x: x").replace(
        'image: "reg/own:1",', 'image: "reg/own:1", args: [a b, c],'
    )
    plan = read_plan(parse(text), {"*": ["serve", "{args}", "--last"]})
    (server,) = plan.predictors[0].servers
    assert isinstance(server, StandInSpec)
    assert server.command == ("serve", "a b", "c", "--last")
    assert plan.ignored == ()
    (told,) = read_plan(parse(text), {"*": ["serve"]}).ignored
    assert told.startswith(
        "spec.predictors.0.componentSpecs: the stand-in for p is run without the container's"
    )


GRAPH = """
apiVersion: machinelearning.seldon.io/v1
kind: SeldonDeployment
metadata: {name: d}
spec:
  protocol: v2
  predictors:
  - name: p
    graph:
      name: split
      implementation: RANDOM_ABTEST
      parameters: [{name: ratioA, value: "0.9", type: FLOAT}]
      children:
      - {name: a, implementation: SKLEARN_SERVER, modelUri: /models/a}
      - {name: b, implementation: SKLEARN_SERVER, modelUri: /models/b}
"""


def test_a_graph_has_a_server_for_each_node_that_is_not_the_executor():
    (predictor,) = read_plan(parse(GRAPH)).predictors
    assert [server.node for server in predictor.servers] == ["a", "b"]
    assert predictor.graph is not None
    assert [node.type for node in predictor.graph.root.walk()] == [None, "MODEL", "MODEL"]
    assert graph_from(json.loads(json.dumps(predictor.graph.to_dict()))) == predictor.graph


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"0.9"', "half", 'ratioA is the share of the first child, from 0 to 1, not "half"'),
        ("name: b, ", "name: a, ", 'another node of this graph that runs something else is called "a"'),
        (
            "      - {name: b, implementation: SKLEARN_SERVER, modelUri: /models/b}\n",
            "",
            "RANDOM_ABTEST chooses between two children, and split has 1",
        ),
    ],
)
def test_a_graph_that_cannot_be_walked_is_refused(old: str, new: str, sentence: str):
    with pytest.raises(Unsupported, match=re.escape(sentence)):
        read_plan(parse(GRAPH.replace(old, new)))


def test_what_the_executor_of_seldon_core_does_not_do_is_told():
    text = GRAPH.replace("RANDOM_ABTEST", "AVERAGE_COMBINER")
    (sentence,) = read_plan(parse(text)).ignored
    assert sentence == (
        "spec.predictors.0.graph.implementation: AVERAGE_COMBINER works here, but the executor of Seldon "
        "Core 1.17.1 has none: there split answers what the first child said"
    )


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
    assert [predictor.root for predictor in read_plan(deployment).predictors] == ["classifier", "classifier"]
