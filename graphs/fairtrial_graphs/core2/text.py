"""Core 2 resources as text: YAML or JSON read, byte-stable YAML written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fairtrial_graphs.core2.types import GROUP, KINDS, AnyResource
from fairtrial_graphs.documents import documents, read_text, to_yaml
from fairtrial_graphs.problems import ManifestError, Problem


def read(path: Path) -> tuple[AnyResource, ...]:
    """Every Model, Experiment and Pipeline in a file, in its order. Raises ManifestError."""
    return parse(read_text(path), source=str(path))


def parse(text: str, source: str = "manifest") -> tuple[AnyResource, ...]:
    """As `read`, from text; other documents are left out. Raises ManifestError, with all mistakes at once."""
    resources: list[AnyResource] = []
    problems: list[Problem] = []
    for document in documents(text, source):
        match document.data:
            case {"kind": str(kind), "apiVersion": str(version)} if version.startswith(f"{GROUP}/"):
                if kind not in KINDS:
                    continue
                try:
                    resources.append(document.validated(KINDS[kind]))
                except ManifestError as error:
                    problems += error.problems
            case _:
                pass
    if problems:
        raise ManifestError(problems)
    return tuple(resources)


def render(resources: Iterable[AnyResource]) -> str:
    """YAML, always the same bytes for the same resources, with --- between them."""
    return to_yaml(resource.to_dict() for resource in resources)
