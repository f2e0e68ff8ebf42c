"""Rules on protocols, transports and the executor."""

from __future__ import annotations

from collections.abc import Iterator

from fairtrial_graphs.seldon.rules.finding import Finding, nodes, predictors
from fairtrial_graphs.seldon.types import EnvVar, Node, SeldonDeployment

_KAFKA = ("KAFKA_BROKER", "KAFKA_INPUT_TOPIC", "KAFKA_OUTPUT_TOPIC")
_NO_ENGINE = "seldon.io/no-engine"
#: A variable of the executor. It asks whether the value is there, not what it is.
ROUTING_INJECTION = "SELDON_ENABLE_ROUTING_INJECTION"
_NO_TENSORFLOW = frozenset({"SKLEARN_SERVER", "XGBOOST_SERVER", "MLFLOW_SERVER", "HUGGINGFACE_SERVER"})


def routers_and_combiners_speak_seldon(deployment: SeldonDeployment) -> Iterator[Finding]:
    if deployment.spec.protocol not in ("v2", "kfserving"):
        return
    for _, path, node in nodes(deployment):
        if node.implementation == "RANDOM_ABTEST":
            message = (
                f'with protocol v2 "{node.name}" chooses between its children at /v2/models/infer only, '
                "where the path names no model; send requests there, or split by predictors"
            )
            yield Finding(f"{path}.implementation", message, refused=False)
        elif kind := _routes_or_combines(node):
            message = (
                f'"{node.name}" is a {kind}, and protocol v2 has no '
                f"{'/route' if kind == 'router' else '/aggregate'}: it is never asked; use protocol seldon"
            )
            yield Finding(f"{path}.type", message, refused=False)


def feedback_finds_its_branch(deployment: SeldonDeployment) -> Iterator[Finding]:
    if deployment.spec.protocol not in (None, "seldon"):
        return
    for path, predictor in predictors(deployment):
        env = (predictor.svcOrchSpec and predictor.svcOrchSpec.env) or ()
        if any(variable.name == ROUTING_INJECTION and _is_set(variable) for variable in env):
            continue
        routers = [node.name for _, node in predictor.graph.walk("") if _asks_for_a_route(node)]
        if routers:
            message = (
                f"answers do not say which branch of {', '.join(routers)} they took, so that feedback goes "
                f"to every child and no router learns from it; set {ROUTING_INJECTION} here"
            )
            yield Finding(f"{path}.svcOrchSpec.env", message, refused=False)


def servers_speak_the_protocol(deployment: SeldonDeployment) -> Iterator[Finding]:
    if deployment.spec.protocol != "tensorflow":
        return
    for _, path, node in nodes(deployment):
        if node.implementation in _NO_TENSORFLOW:
            message = f"{node.implementation} does not speak the protocol tensorflow; use v2 or seldon"
            yield Finding(f"{path}.implementation", message, refused=True)


def one_transport(deployment: SeldonDeployment) -> Iterator[Finding]:
    said: dict[str, str] = {}
    for _, path, node in nodes(deployment):
        kind = (node.endpoint or {}).get("type")
        if isinstance(kind, str) and kind:
            said.setdefault(kind, f"{path}.endpoint.type")
    wanted = deployment.spec.transport
    if len(said) > 1:
        message = f"endpoint types {' and '.join(said)} in one deployment; say spec.transport instead"
        yield Finding(list(said.values())[1], message, refused=True)
    elif wanted and said and wanted != (kind := next(iter(said))).lower():
        message = f"{kind} contradicts spec.transport, which is {wanted}; remove the endpoint's type"
        yield Finding(said[kind], message, refused=True)


def kafka_is_said_in_full(deployment: SeldonDeployment) -> Iterator[Finding]:
    if deployment.spec.serverType != "kafka":
        return
    for path, predictor in predictors(deployment):
        env = (predictor.svcOrchSpec and predictor.svcOrchSpec.env) or ()
        missing = [name for name in _KAFKA if name not in {variable.name for variable in env}]
        if missing:
            message = f"serverType kafka needs {', '.join(missing)} here"
            yield Finding(f"{path}.svcOrchSpec.env", message, refused=True)


def no_engine_serves_one_node(deployment: SeldonDeployment) -> Iterator[Finding]:
    for path, predictor in predictors(deployment):
        if _NO_ENGINE in (predictor.annotations or {}) and predictor.graph.children:
            message = f"{_NO_ENGINE} is for graphs of a single node; remove it, or the children"
            yield Finding(f"{path}.annotations", message, refused=True)


def _is_set(variable: EnvVar) -> bool:
    return bool(variable.value) or variable.valueFrom is not None


def _asks_for_a_route(node: Node) -> bool:
    return node.type == "ROUTER" or "ROUTE" in (node.methods or ())


def _routes_or_combines(node: Node) -> str | None:
    if _asks_for_a_route(node) or node.implementation == "SIMPLE_ROUTER":
        return "router"
    combines = node.type == "COMBINER" or node.implementation == "AVERAGE_COMBINER"
    return "combiner" if combines or "AGGREGATE" in (node.methods or ()) else None
