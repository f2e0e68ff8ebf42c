"""Rules on the nodes of a graph and the containers that run them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from fairtrial_graphs.seldon.rules.finding import Finding, nodes, predictors
from fairtrial_graphs.seldon.types import Node, SeldonDeployment

#: Graph nodes that Seldon's executor is itself; any other name is a server from `predictor_servers`.
EXECUTOR_IMPLEMENTATIONS = frozenset({"SIMPLE_MODEL", "SIMPLE_ROUTER", "RANDOM_ABTEST", "AVERAGE_COMBINER"})

NEED_NO_MODEL = EXECUTOR_IMPLEMENTATIONS | {"HUGGINGFACE_SERVER"}  # it can take one from the hub

#: What `predictor_servers` of Seldon Core 1.17 holds as installed.
STOCK_SERVERS = frozenset(
    {
        "HUGGINGFACE_SERVER",
        "MLFLOW_SERVER",
        "SKLEARN_SERVER",
        "TEMPO_SERVER",
        "TENSORFLOW_SERVER",
        "TRITON_SERVER",
        "XGBOOST_SERVER",
    }
)
_OURS = "FAIRTRIAL_"

_TYPES = frozenset({"UNKNOWN_TYPE", "ROUTER", "COMBINER", "MODEL", "TRANSFORMER", "OUTPUT_TRANSFORMER"})
_METHODS = frozenset({"TRANSFORM_INPUT", "TRANSFORM_OUTPUT", "ROUTE", "AGGREGATE", "SEND_FEEDBACK"})
_LOGGED = frozenset({"all", "request", "response"})
_DEEPEST = 11  # the CRD's schema has as many levels; below them the API server drops what is there

_RESERVED_ENV = re.compile(
    r"PREDICTIVE_UNIT_(\w+_)?PORT|PREDICTIVE_UNIT_PARAMETERS|MLSERVER_\w+_PORT|MLSERVER_MODEL_URI"
)


def every_node_can_run(deployment: SeldonDeployment) -> Iterator[Finding]:
    for predictor, path, node in nodes(deployment):
        if not names_an_implementation(node):
            if predictor.container(node.name) is None:
                message = (
                    f'node "{node.name}" has neither an implementation nor a container of its name '
                    "in componentSpecs; give it one of the two"
                )
                yield Finding(f"{path}.implementation", message, refused=True)
            if node.type == "UNKNOWN_TYPE" and not node.methods:
                message = f'node "{node.name}" says nothing of what it does; give it a type, or methods'
                yield Finding(f"{path}.type", message, refused=True)
        elif node.implementation not in NEED_NO_MODEL and not node.modelUri:
            message = f'node "{node.name}" runs {node.implementation}, which needs a modelUri'
            yield Finding(f"{path}.modelUri", message, refused=True)


def implementations_are_known(deployment: SeldonDeployment) -> Iterator[Finding]:
    """A cluster can have servers of its own, so that a name that is not known here may still be right."""
    known = STOCK_SERVERS | EXECUTOR_IMPLEMENTATIONS
    for predictor, path, node in nodes(deployment):
        name = node.implementation or ""
        container = predictor.container(node.name)
        if not names_an_implementation(node) or name in known or name.startswith(_OURS):
            continue
        if container is not None and container.image:
            continue
        close = difflib.get_close_matches(name.upper(), sorted(known), n=1)
        hint = f'did you mean "{close[0]}"?' if close else "or give the node a container with an image"
        message = (
            f'"{name}" is no server that Seldon Core comes with, and is refused where the cluster\'s '
            f"predictor_servers has no such entry: add one{'; ' if close else ', '}{hint}"
        )
        yield Finding(f"{path}.implementation", message, refused=False)


def types_and_methods_are_known(deployment: SeldonDeployment) -> Iterator[Finding]:
    for _, path, node in nodes(deployment):
        if node.type is not None and node.type not in _TYPES:
            message = (
                f'"{node.type}" is no type of node, and it would not be called; use one of {_list(_TYPES)}'
            )
            yield Finding(f"{path}.type", message, refused=False)
        for index, method in enumerate(node.methods or ()):
            if method not in _METHODS:
                message = f'"{method}" is no method of a node; use some of {_list(_METHODS)}'
                yield Finding(f"{path}.methods.{index}", message, refused=False)


def random_ab_test_has_two_children(deployment: SeldonDeployment) -> Iterator[Finding]:
    for _, path, node in nodes(deployment):
        if node.implementation != "RANDOM_ABTEST":
            continue
        if len(node.children or ()) != 2:
            message = (
                f'"{node.name}" is a RANDOM_ABTEST, which chooses between two children; '
                f"it has {len(node.children or ())}"
            )
            yield Finding(f"{path}.children", message, refused=False)
        if [parameter.name for parameter in node.parameters or ()] not in ([], ["ratioA"]):
            message = "RANDOM_ABTEST reads one parameter only, ratioA; with any other it splits 50 to 50"
            yield Finding(f"{path}.parameters", message, refused=False)


def graphs_are_not_too_deep(deployment: SeldonDeployment) -> Iterator[Finding]:
    for path, predictor in predictors(deployment):
        for place, _ in predictor.graph.walk(f"{path}.graph"):
            if place.count(".children.") == _DEEPEST:
                message = (
                    f"nodes below {_DEEPEST} levels are not in Seldon Core's CRD; make the graph shallower"
                )
                yield Finding(place, message, refused=True)


def logger_has_a_mode(deployment: SeldonDeployment) -> Iterator[Finding]:
    for _, path, node in nodes(deployment):
        if node.logger is not None and node.logger.mode not in _LOGGED:
            said = f', not "{node.logger.mode}"' if node.logger.mode else ""
            message = f"say which messages to log: all, request or response{said}"
            yield Finding(f"{path}.logger.mode", message, refused=not node.logger.mode)


def quantities_are_no_fractions(deployment: SeldonDeployment) -> Iterator[Finding]:
    """Kubernetes takes `cpu: 0.5` in a Pod, and not in a resource with a schema such as Seldon Core's."""
    for path, predictor in predictors(deployment):
        for number, component in enumerate(predictor.componentSpecs or ()):
            for place, container in enumerate((component.spec and component.spec.containers) or ()):
                for kind, quantities in (container.resources or {}).items():
                    for name, value in quantities.items() if isinstance(quantities, dict) else ():
                        if isinstance(value, float):
                            where = f"{path}.componentSpecs.{number}.spec.containers.{place}.resources"
                            message = f'a quantity is a whole number or a text; write "{value:g}", in quotes'
                            yield Finding(f"{where}.{kind}.{name}", message, refused=True)


def reserved_env_is_left_alone(deployment: SeldonDeployment) -> Iterator[Finding]:
    for path, predictor in predictors(deployment):
        for number, component in enumerate(predictor.componentSpecs or ()):
            for place, container in enumerate((component.spec and component.spec.containers) or ()):
                for entry, variable in enumerate(container.env or ()):
                    if _RESERVED_ENV.fullmatch(variable.name):
                        message = (
                            f"{variable.name} is set by Seldon Core; "
                            "set here, it makes the container lose its whole environment. Remove it"
                        )
                        where = f"{path}.componentSpecs.{number}.spec.containers.{place}.env.{entry}"
                        yield Finding(where, message, refused=False)


def names_an_implementation(node: Node) -> bool:
    """Whether it runs something that Seldon Core knows, rather than a container of the team's own."""
    return node.implementation not in (None, "", "UNKNOWN_IMPLEMENTATION")


def _list(words: frozenset[str]) -> str:
    return ", ".join(sorted(words - {"UNKNOWN_TYPE"}))
