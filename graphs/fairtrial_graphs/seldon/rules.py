"""What makes a SeldonDeployment wrong: one small function a rule, each giving sentences.

What is `refused` fails at Seldon Core's admission webhook (v1.17.1, `seldondeployment_webhook.go`) or, for
names, at the Kubernetes API. The rest is accepted, and then something is lost: the sentence says what.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from fairtrial_graphs.seldon.types import EnvVar, Node, Predictor, SeldonDeployment

#: Graph nodes that Seldon's executor is itself; any other name is a server from `predictor_servers`.
EXECUTOR_IMPLEMENTATIONS = frozenset({"SIMPLE_MODEL", "SIMPLE_ROUTER", "RANDOM_ABTEST", "AVERAGE_COMBINER"})

NEED_NO_MODEL = EXECUTOR_IMPLEMENTATIONS | {"HUGGINGFACE_SERVER"}  # it can take one from the hub

LONGEST_NAME = 63

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_RESERVED_ENV = re.compile(
    r"PREDICTIVE_UNIT_(\w+_)?PORT|PREDICTIVE_UNIT_PARAMETERS|MLSERVER_\w+_PORT|MLSERVER_MODEL_URI"
)


@dataclass(frozen=True)
class Finding:
    path: str  # of the field, as in spec.predictors.1.traffic
    message: str
    refused: bool  # True: Seldon Core does not take the manifest, or Kubernetes not what it makes of it

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


Rule = Callable[[SeldonDeployment], Iterator[Finding]]


def check(deployment: SeldonDeployment) -> tuple[Finding, ...]:
    """Every finding of every rule, in the rules' order."""
    return tuple(finding for rule in RULES for finding in rule(deployment))


def has_predictors(deployment: SeldonDeployment) -> Iterator[Finding]:
    if not deployment.spec.predictors:
        yield Finding("spec.predictors", "there is no predictor; name at least one", refused=True)


def distinct_predictor_names(deployment: SeldonDeployment) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for index, predictor in enumerate(deployment.spec.predictors):
        first = seen.setdefault(predictor.name, index)
        if first != index:
            message = f'"{predictor.name}" is already the name of spec.predictors.{first}; choose another'
            yield Finding(f"spec.predictors.{index}.name", message, refused=True)


def traffic_sums_to_100(deployment: SeldonDeployment) -> Iterator[Finding]:
    receiving = deployment.receiving
    if len(receiving) < 2:
        return
    total = sum(predictor.traffic or 0 for predictor in receiving)
    if total != 100:
        parts = " + ".join(f"{predictor.traffic or 0} ({predictor.name})" for predictor in receiving)
        message = f"traffic over all predictors but shadows must sum to 100; {parts} is {total}"
        yield Finding("spec.predictors", message, refused=True)


def one_predictor_has_all_traffic(deployment: SeldonDeployment) -> Iterator[Finding]:
    if len(deployment.receiving) != 1:
        return
    for index, predictor in enumerate(deployment.spec.predictors):
        if not predictor.shadow and predictor.traffic not in (None, 0, 100):
            message = f"the only predictor has traffic 100 or none at all, not {predictor.traffic}"
            yield Finding(f"spec.predictors.{index}.traffic", message, refused=True)


def traffic_is_a_percentage(deployment: SeldonDeployment) -> Iterator[Finding]:
    for index, predictor in enumerate(deployment.spec.predictors):
        if predictor.traffic is not None and not 0 <= predictor.traffic <= 100:
            message = f"traffic is a percentage from 0 to 100, not {predictor.traffic}"
            yield Finding(f"spec.predictors.{index}.traffic", message, refused=True)


def at_most_one_shadow(deployment: SeldonDeployment) -> Iterator[Finding]:
    shadows = [predictor.name for predictor in deployment.spec.predictors if predictor.shadow]
    if len(shadows) > 1:
        message = f"at most one predictor is a shadow; {' and '.join(shadows)} are"
        yield Finding("spec.predictors", message, refused=True)


def shadow_is_not_alone(deployment: SeldonDeployment) -> Iterator[Finding]:
    if deployment.spec.predictors and not deployment.receiving:
        message = "a shadow mirrors the traffic of another predictor, and there is none"
        yield Finding("spec.predictors", message, refused=True)


def every_node_can_run(deployment: SeldonDeployment) -> Iterator[Finding]:
    for predictor, path, node in _nodes(deployment):
        container = predictor.container(node.name)
        if node.implementation in (None, "", "UNKNOWN_IMPLEMENTATION"):
            if container is None:
                message = (
                    f'node "{node.name}" has neither an implementation nor a container of its name '
                    "in componentSpecs; give it one of the two"
                )
                yield Finding(f"{path}.implementation", message, refused=True)
        elif node.implementation not in NEED_NO_MODEL and not node.modelUri:
            message = f'node "{node.name}" runs {node.implementation}, which needs a modelUri'
            yield Finding(f"{path}.modelUri", message, refused=True)


def logger_has_a_mode(deployment: SeldonDeployment) -> Iterator[Finding]:
    for _, path, node in _nodes(deployment):
        if node.logger is not None and not node.logger.mode:
            message = "say which messages to log: all, request or response"
            yield Finding(f"{path}.logger.mode", message, refused=True)


def distinct_node_names(deployment: SeldonDeployment) -> Iterator[Finding]:
    """With protocol v2 `model_name` is all that a response says about who answered."""
    seen: dict[str, str] = {}
    for _, path, node in _nodes(deployment):
        first = seen.setdefault(node.name, path)
        if first != path:
            message = (
                f'"{node.name}" is also the name of {first}; with protocol v2 the node name is all '
                "that a response says about who answered, so give each its own"
            )
            yield Finding(f"{path}.name", message, refused=False)


def names_are_dns_labels(deployment: SeldonDeployment) -> Iterator[Finding]:
    generated = "generateName" in (deployment.metadata.model_extra or {})
    named = [] if generated else [("metadata.name", deployment.metadata.name or "")]
    for index, predictor in enumerate(deployment.spec.predictors):
        named.append((f"spec.predictors.{index}.name", predictor.name))
    named += [(f"{path}.name", node.name) for _, path, node in _nodes(deployment)]
    for path, name in named:
        if not _DNS_LABEL.fullmatch(name):
            message = (
                f'"{name}" becomes part of Kubernetes names: '
                "use small letters, digits and hyphens, a letter or digit at both ends"
            )
            yield Finding(path, message, refused=True)


def names_are_short(deployment: SeldonDeployment) -> Iterator[Finding]:
    for index, predictor in enumerate(deployment.spec.predictors):
        name = f"{deployment.metadata.name or ''}-{predictor.name}-0-{predictor.graph.name}"
        if len(name) > LONGEST_NAME:
            message = (
                f'the Deployment would be called "{name}", {len(name)} characters, and Seldon Core replaces '
                f"names over {LONGEST_NAME} by a hash; shorten the names by {len(name) - LONGEST_NAME}"
            )
            yield Finding(f"spec.predictors.{index}.name", message, refused=False)


def reserved_env_is_left_alone(deployment: SeldonDeployment) -> Iterator[Finding]:
    for path, variable in _environment(deployment):
        if _RESERVED_ENV.fullmatch(variable.name):
            message = (
                f"{variable.name} is set by Seldon Core; "
                "set here, it makes the container lose its whole environment. Remove it"
            )
            yield Finding(path, message, refused=False)


RULES: tuple[Rule, ...] = (
    has_predictors,
    distinct_predictor_names,
    traffic_is_a_percentage,
    traffic_sums_to_100,
    one_predictor_has_all_traffic,
    at_most_one_shadow,
    shadow_is_not_alone,
    every_node_can_run,
    logger_has_a_mode,
    distinct_node_names,
    names_are_dns_labels,
    names_are_short,
    reserved_env_is_left_alone,
)


def _nodes(deployment: SeldonDeployment) -> Iterable[tuple[Predictor, str, Node]]:
    for index, predictor in enumerate(deployment.spec.predictors):
        for path, node in predictor.graph.walk(f"spec.predictors.{index}.graph"):
            yield predictor, path, node


def _environment(deployment: SeldonDeployment) -> Iterable[tuple[str, EnvVar]]:
    for index, predictor in enumerate(deployment.spec.predictors):
        for number, component in enumerate(predictor.componentSpecs or ()):
            for place, container in enumerate((component.spec and component.spec.containers) or ()):
                path = f"spec.predictors.{index}.componentSpecs.{number}.spec.containers.{place}.env"
                for entry, variable in enumerate(container.env or ()):
                    yield f"{path}.{entry}", variable
