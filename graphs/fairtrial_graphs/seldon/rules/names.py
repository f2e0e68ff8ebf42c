"""Rules on names: what Kubernetes takes, and what stays readable."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fairtrial_graphs.seldon.rules.finding import Finding, nodes, predictors
from fairtrial_graphs.seldon.rules.nodes import EXECUTOR_IMPLEMENTATIONS
from fairtrial_graphs.seldon.types import Predictor, SeldonDeployment

LONGEST_NAME = 63

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def distinct_node_names(deployment: SeldonDeployment) -> Iterator[Finding]:
    """With protocol v2 `model_name` is all that a response says about who answered."""
    seen: dict[str, str] = {}
    for _, path, node in nodes(deployment):
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
    named += [(f"{path}.name", predictor.name) for path, predictor in predictors(deployment)]
    named += [(f"{path}.name", node.name) for _, path, node in nodes(deployment)]
    for path, name in named:
        if not _DNS_LABEL.fullmatch(name):
            message = (
                f'"{name}" becomes part of Kubernetes names: '
                "use small letters, digits and hyphens, a letter or digit at both ends"
            )
            yield Finding(path, message, refused=True)


def services_begin_with_a_letter(deployment: SeldonDeployment) -> Iterator[Finding]:
    """A Service is called `<deployment>-<predictor>`, and its name is stricter than others."""
    name = deployment.metadata.name or ""
    if name[:1].isdecimal():
        message = f'the Services would be called "{name}-…", and Kubernetes wants a letter first; rename it'
        yield Finding("metadata.name", message, refused=True)


def containers_have_short_names(deployment: SeldonDeployment) -> Iterator[Finding]:
    """What is made of several names is hashed when it is too long; a container is called as its node."""
    for _, path, node in nodes(deployment):
        if len(node.name) > LONGEST_NAME:
            message = (
                f'the container would be called "{node.name}", longer than the {LONGEST_NAME} characters '
                f"that Kubernetes takes; shorten the name by {len(node.name) - LONGEST_NAME}"
            )
            yield Finding(f"{path}.name", message, refused=True)


def names_are_short(deployment: SeldonDeployment) -> Iterator[Finding]:
    for path, predictor in predictors(deployment):
        kind, name = max(
            _children(deployment.metadata.name or "", predictor), key=lambda child: len(child[1])
        )
        if len(name) > LONGEST_NAME:
            message = (
                f'the {kind} would be called "{name}", {len(name)} characters, and Seldon Core replaces '
                f"names over {LONGEST_NAME} by a hash; shorten the names by {len(name) - LONGEST_NAME}"
            )
            yield Finding(f"{path}.name", message, refused=False)


def _children(deployment: str, predictor: Predictor) -> Iterator[tuple[str, str]]:
    """What Seldon Core makes of a predictor, by kind and name before hashing."""
    base = f"{deployment}-{predictor.name}"
    yield "Service", base
    every = [node for _, node in predictor.graph.walk("")]
    yield from (("Service", f"{base}-{node.name}") for node in every)
    if predictor.explainer is not None:
        yield "explainer's Deployment", f"{base}-explainer"
    # Servers without a container of their own are put into the first pod.
    added = [
        node.name
        for node in every
        if node.implementation not in EXECUTOR_IMPLEMENTATIONS and predictor.container(node.name) is None
    ]
    for index, component in enumerate(predictor.componentSpecs or [None]):
        containers = (component and component.spec and component.spec.containers) or ()
        names = [container.name for container in containers] + (added if index == 0 else [])
        own = component and component.metadata and component.metadata.name
        yield "Deployment", f"{base}-{index}-{own or '-'.join(names)}"
