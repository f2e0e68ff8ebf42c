"""What the local backend makes of a SeldonDeployment: pure, and loud about what it cannot run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from fairtrial_graphs.backends.interface import Unsupported
from fairtrial_graphs.backends.local.executor.graph import Graph, GraphNode
from fairtrial_graphs.backends.local.specs import ModelSpec, PredictorSpec, StandInSpec
from fairtrial_graphs.build import weights
from fairtrial_graphs.seldon.rules import EXECUTOR_IMPLEMENTATIONS, ROUTING_INJECTION, check
from fairtrial_graphs.seldon.types import Container, Node, Predictor, SeldonDeployment

#: Commands to run in place of images, by image, in which * and ? stand for any text and any character.
#: The word {args} in a command stands for the container's own args.
StandIns = Mapping[str, Sequence[str]]

_ARGS = "{args}"

_REST_TIMEOUT = "seldon.io/rest-timeout"  # annotations, in milliseconds
_GRPC_TIMEOUT = "seldon.io/grpc-timeout"
_LOG_QUEUE = "seldon.io/executor-logger-queue-size"  # an annotation of the deployment, in messages
_LOG_URL = "REQUEST_LOGGER_DEFAULT_ENDPOINT"  # of the executor: where loggers without an address post to
_TYPES = frozenset({"MODEL", "ROUTER", "COMBINER", "TRANSFORMER", "OUTPUT_TRANSFORMER"})
_NOT_IN_SELDON = {
    "SIMPLE_MODEL": "leaves the request as it is",
    "SIMPLE_ROUTER": "asks all children and answers what the first said",
    "AVERAGE_COMBINER": "answers what the first child said",
}


@dataclass(frozen=True)
class Mirror:
    predictor: str
    percent: int


@dataclass(frozen=True)
class LocalPlan:
    predictors: tuple[PredictorSpec, ...]  # in the manifest's order
    weights: Mapping[str, int]  # by predictor, shadows left out; sums to 100
    mirror: Mirror | None
    ignored: tuple[str, ...]  # sentences: what the manifest says and this machine does not do


def read_plan(deployment: SeldonDeployment, stand_ins: StandIns | None = None) -> LocalPlan:
    """Raises Unsupported, naming every field that cannot be run here or that Seldon Core would refuse."""
    stand_ins = stand_ins or {}
    problems = [str(finding) for finding in check(deployment) if finding.refused]
    problems += _unsupported(deployment, stand_ins)
    if problems:
        raise Unsupported("\n".join(problems))
    mirror = next(
        # Seldon Core mirrors everything when a shadow's traffic is unset or 0.
        (
            Mirror(predictor.name, predictor.traffic or 100)
            for predictor in deployment.spec.predictors
            if predictor.shadow
        ),
        None,
    )
    return LocalPlan(
        predictors=tuple(_spec(deployment, predictor, stand_ins) for predictor in deployment.spec.predictors),
        weights=weights(deployment),
        mirror=mirror,
        ignored=tuple(_ignored(deployment, stand_ins)),
    )


def _spec(deployment: SeldonDeployment, predictor: Predictor, stand_ins: StandIns) -> PredictorSpec:
    root = predictor.graph
    by_name = {node.name: node for _, node in root.walk("") if not _is_executors(node)}
    servers = tuple(
        _model(predictor, node)
        if _is_served(node)
        else _stand_in(deployment, predictor, node, _command(predictor, node, stand_ins))
        for node in by_name.values()
    )
    # Only the executor logs requests, so that a model with a logger is a graph, too.
    alone = _is_served(root) and not root.children and not _log_url(predictor, root)
    return PredictorSpec(
        predictor=predictor.name,
        root=root.name,
        servers=servers,
        graph=None if alone else _graph(deployment, predictor),
        replicas=_replicas(deployment, predictor) or 1,
    )


def _replicas(deployment: SeldonDeployment, predictor: Predictor) -> int:
    """As the operator counts a predictor of one pod; here each replica has all of its containers."""
    components = predictor.componentSpecs or ()
    said = [component.replicas for component in components] if len(components) == 1 else []
    said += [predictor.replicas, deployment.spec.replicas]
    return next((count for count in said if count is not None), 1)


def _is_executors(node: Node) -> bool:
    return node.implementation in EXECUTOR_IMPLEMENTATIONS


def _is_served(node: Node) -> bool:
    """Whether an entry of predictor_servers runs it."""
    return bool(node.implementation) and node.implementation not in {
        *EXECUTOR_IMPLEMENTATIONS,
        "UNKNOWN_IMPLEMENTATION",
    }


def _model(predictor: Predictor, node: Node) -> ModelSpec:
    return ModelSpec(
        predictor=predictor.name,
        node=node.name,
        implementation=node.implementation or "",
        model_uri=node.modelUri or "",
        parameters=_parameters(node),
        env=_env(predictor.container(node.name)),
    )


def _stand_in(
    deployment: SeldonDeployment, predictor: Predictor, node: Node, command: Sequence[str]
) -> StandInSpec:
    """The environment is the one that Seldon Core's operator gives to such a container."""
    container = predictor.container(node.name)
    image = (container and container.image) or ""
    env = {
        "PREDICTIVE_UNIT_ID": node.name,
        "PREDICTIVE_UNIT_IMAGE": image,
        "PREDICTOR_ID": predictor.name,
        "PREDICTOR_LABELS": json.dumps(predictor.labels or {}),
        "SELDON_DEPLOYMENT_ID": deployment.metadata.name or "",
        "SELDON_EXECUTOR_ENABLED": "true",
        "MLSERVER_MODEL_NAME": node.name,
    }
    if node.parameters:
        parameters = [
            {"name": parameter.name, "value": parameter.value, "type": parameter.type}
            for parameter in node.parameters
        ]
        env["PREDICTIVE_UNIT_PARAMETERS"] = json.dumps(parameters)
    return StandInSpec(predictor.name, node.name, image, tuple(command), {**env, **_env(container)})


def _command(predictor: Predictor, node: Node, stand_ins: StandIns) -> Sequence[str]:
    """Empty if there is none for the node's image."""
    container = predictor.container(node.name)
    args = (container and container.args) or []
    command = _stand_in_for(container, stand_ins)
    return [part for word in command for part in (args if word == _ARGS else [word])]


def _stand_in_for(container: Container | None, stand_ins: StandIns) -> Sequence[str]:
    image = (container and container.image) or ""
    return next((command for glob, command in stand_ins.items() if fnmatchcase(image, glob)), ())


def _parameters(node: Node) -> dict[str, str]:
    return {parameter.name: parameter.value for parameter in node.parameters or ()}


def _env(container: Container | None) -> dict[str, str]:
    return {variable.name: variable.value or "" for variable in (container and container.env) or ()}


def _graph(deployment: SeldonDeployment, predictor: Predictor) -> Graph:
    annotations = predictor.annotations or {}
    everywhere = {
        **(deployment.metadata.annotations or {}),
        **(deployment.spec.annotations or {}),
        **annotations,
    }
    orchestrator = predictor.svcOrchSpec and predictor.svcOrchSpec.env
    queue = (deployment.metadata.annotations or {}).get(_LOG_QUEUE)
    return Graph(
        deployment=deployment.metadata.name or "",
        predictor=predictor.name,
        namespace=deployment.metadata.namespace or "default",
        version=annotations.get("version", ""),
        protocol="seldon" if deployment.spec.protocol in (None, "seldon") else "v2",
        root=_graph_node(predictor, predictor.graph),
        timeout=_seconds(everywhere.get(_REST_TIMEOUT)),
        grpc_timeout=_seconds(everywhere.get(_GRPC_TIMEOUT)),
        log_queue=int(queue) if queue else Graph.log_queue,
        inject_routing=any(v.name == ROUTING_INJECTION and v.value for v in orchestrator or ()),
    )


def _log_url(predictor: Predictor, node: Node) -> str:
    """Where requests to this node are logged; empty if nowhere."""
    if node.logger is None:
        return ""
    env = (predictor.svcOrchSpec and predictor.svcOrchSpec.env) or ()
    return node.logger.url or next((v.value for v in env if v.name == _LOG_URL and v.value), "")


def _seconds(milliseconds: str | None) -> float | None:
    return float(milliseconds) / 1000 if milliseconds else None


def _graph_node(predictor: Predictor, node: Node) -> GraphNode:
    container = predictor.container(node.name)
    # The operator's own defaults.
    bare = node.type is None and node.methods is None and not node.implementation
    return GraphNode(
        name=node.name,
        type="MODEL" if bare or _is_served(node) else node.type,
        methods=tuple(node.methods or ()),
        implementation=node.implementation,
        parameters=_parameters(node),
        image=(container and container.image) or "",
        log_url=_log_url(predictor, node),
        log_mode=(node.logger and node.logger.mode) or "",
        children=tuple(_graph_node(predictor, child) for child in node.children or ()),
    )


def _unsupported(deployment: SeldonDeployment, stand_ins: StandIns) -> Iterator[str]:
    spec = deployment.spec
    if spec.protocol == "tensorflow":
        yield 'spec.protocol: the local backend speaks "v2" and "seldon", and this says "tensorflow"'
    queue = (deployment.metadata.annotations or {}).get(_LOG_QUEUE)
    if queue and not (queue.isdecimal() and int(queue)):
        yield f'metadata.annotations: {_LOG_QUEUE} is "{queue}", not a number of messages from 1 on'
    if spec.transport == "grpc":
        yield 'spec.transport: the local backend splits REST traffic; remove "grpc"'
    if spec.serverType == "kafka":
        yield 'spec.serverType: the local backend does not read from Kafka; remove "kafka"'
    for index, predictor in enumerate(spec.predictors):
        path = f"spec.predictors.{index}"
        for noted in (deployment.metadata.annotations, spec.annotations, predictor.annotations):
            for name in (_REST_TIMEOUT, _GRPC_TIMEOUT):
                timeout = (noted or {}).get(name)
                if timeout and not timeout.isdecimal():
                    yield f'{path}: the annotation {name} is "{timeout}", not a number of milliseconds'
        yield from _repeated(path, predictor)
        for place, node in predictor.graph.walk(f"{path}.graph"):
            yield from _unsupported_node(place, predictor, node, stand_ins)
            if _is_served(node) and spec.protocol in (None, "seldon"):
                told = '"seldon"' if spec.protocol else "nothing, which means seldon"
                yield (
                    f'spec.protocol: {node.implementation} of node {node.name} speaks "v2" here, '
                    f"and this says {told}"
                )


def _repeated(path: str, predictor: Predictor) -> Iterator[str]:
    seen: dict[str, Node] = {}
    for place, node in predictor.graph.walk(f"{path}.graph"):
        first = seen.setdefault(node.name, node)
        same = (first.implementation, first.modelUri) == (node.implementation, node.modelUri)
        if first is not node and not same:
            yield f'{place}.name: another node of this graph that runs something else is called "{node.name}"'


def _unsupported_node(path: str, predictor: Predictor, node: Node, stand_ins: StandIns) -> Iterator[str]:
    if node.type is not None and node.type not in {*_TYPES, "UNKNOWN_TYPE"}:
        yield f"{path}.type: there is no type {node.type}; choose one of {', '.join(sorted(_TYPES))}"
    if node.implementation == "RANDOM_ABTEST":
        yield from _unsupported_ab_test(path, node)
    container = predictor.container(node.name)
    if _is_executors(node) or container is None:
        return
    where = f"{path.split('.graph', maxsplit=1)[0]}.componentSpecs (container {container.name})"
    if _is_served(node):
        if container.command or container.args:
            yield f"{where}: the local backend starts its own server; remove command and args"
    elif not _command(predictor, node, stand_ins):
        image = container.image or ""
        yield (
            f"{path}: node {node.name} runs the image {image or '(none)'}, which needs a stand-in on this "
            f"machine; give the command that serves it, as in --stand-in '{image or 'IMAGE'}=COMMAND'"
        )
    if container.envFrom:
        yield f"{where}.envFrom: there are no ConfigMaps and Secrets on this machine"
    for variable in container.env or ():
        if variable.valueFrom is not None:
            yield f"{where}.env: {variable.name} has a valueFrom, which this machine cannot look up"


def _unsupported_ab_test(path: str, node: Node) -> Iterator[str]:
    count = len(node.children or ())
    if count != 2:
        yield f"{path}.children: RANDOM_ABTEST chooses between two children, and {node.name} has {count}"
    ratio = _parameters(node).get("ratioA", "0.5")
    try:
        float(ratio)
    except ValueError:
        yield f'{path}.parameters: ratioA is the share of the first child, from 0 to 1, not "{ratio}"'


def _ignored(deployment: SeldonDeployment, stand_ins: StandIns) -> Iterator[str]:
    for index, predictor in enumerate(deployment.spec.predictors):
        path = f"spec.predictors.{index}"
        if _replicas(deployment, predictor) == 0:
            yield f"{path}.replicas: {predictor.name} has none, and one on this machine"
        nodes = list(predictor.graph.walk(f"{path}.graph"))
        alone = len(nodes) == 1
        for place, node in nodes:
            name = predictor.name if alone else node.name
            yield from _ignored_of_container(path, predictor, node, name, stand_ins)
            yield from _ignored_of_node(place, predictor, node, name)
        if predictor.explainer is not None:
            yield f"{path}.explainer: the explainer of {predictor.name} does not run on this machine"


def _ignored_of_container(
    path: str, predictor: Predictor, node: Node, name: str, stand_ins: StandIns
) -> Iterable[str]:
    container = predictor.container(node.name)
    if container is None:
        return
    if container.image and _is_served(node):
        yield f"{path}.componentSpecs: {name} runs here without its image {container.image}"
    elif container.command or (container.args and _ARGS not in _stand_in_for(container, stand_ins)):
        yield (
            f"{path}.componentSpecs: the stand-in for {name} is run without the container's "
            f"command and args; put {_ARGS} into the stand-in for the args"
        )


def _ignored_of_node(place: str, predictor: Predictor, node: Node, name: str) -> Iterable[str]:
    if node.logger is not None and not _log_url(predictor, node):
        yield f"{place}.logger: requests to {name} are not logged: there is no broker here; give it a url"
    if node.implementation in _NOT_IN_SELDON:
        yield (
            f"{place}.implementation: {node.implementation} works here, but the executor of Seldon Core "
            f"1.17.1 has none: there {node.name} {_NOT_IN_SELDON[node.implementation]}"
        )
