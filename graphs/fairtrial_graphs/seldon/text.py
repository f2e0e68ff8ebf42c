"""SeldonDeployments as text: YAML or JSON read, byte-stable YAML written."""

from __future__ import annotations

from pathlib import Path

from fairtrial_graphs.documents import Document, documents, read_text, to_yaml
from fairtrial_graphs.problems import ManifestError, Problem, at_file
from fairtrial_graphs.seldon.rules import check
from fairtrial_graphs.seldon.types import GROUP, SeldonDeployment

__all__ = ["ManifestError", "is_seldon_deployment", "mistakes", "parse", "parse_all", "read", "render"]


def read(path: Path) -> SeldonDeployment:
    """The SeldonDeployment in a file of one or several YAML documents, or JSON. Raises ManifestError."""
    return parse(read_text(path), source=str(path))


def parse(text: str, source: str = "manifest") -> SeldonDeployment:
    """As `read`, from text; `source` is how messages call it. Raises ManifestError."""
    found = _of_seldon(text, source)
    if len(found) != 1:
        count = "there is none" if not found else f"there are {len(found)}"
        raise at_file(source, f"one SeldonDeployment is expected (kind, apiVersion {GROUP}/v1); {count}")
    return found[0].validated(SeldonDeployment)


def parse_all(text: str, source: str = "manifest") -> tuple[SeldonDeployment, ...]:
    """Every SeldonDeployment among the documents. Raises ManifestError, for all of them at once."""
    deployments: list[SeldonDeployment] = []
    problems: list[Problem] = []
    for document in _of_seldon(text, source):
        try:
            deployments.append(document.validated(SeldonDeployment))
        except ManifestError as error:
            problems += error.problems
    if problems:
        raise ManifestError(problems)
    return tuple(deployments)


def mistakes(text: str, source: str = "manifest") -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """What Seldon Core would refuse, and what it would take and mishandle, of every SeldonDeployment.

    Each with its line and column, in the order of the file. A text that is no YAML has one of the first kind.
    """
    refused: list[Problem] = []
    mishandled: list[Problem] = []
    try:
        found = _of_seldon(text, source)
    except ManifestError as error:
        return error.problems, ()
    for document in found:
        try:
            findings = check(document.validated(SeldonDeployment))
        except ManifestError as error:
            refused += error.problems
            continue
        for finding in findings:
            problem = document.problem_at(finding.path, finding.message)
            (refused if finding.refused else mishandled).append(problem)
    return tuple(sorted(refused, key=_place)), tuple(sorted(mishandled, key=_place))


def is_seldon_deployment(document: object) -> bool:
    """Whether plain data says of itself that it is a SeldonDeployment."""
    match document:
        case {"kind": "SeldonDeployment", "apiVersion": str(version)}:
            return version.startswith(f"{GROUP}/")
        case _:
            return False


def render(deployment: SeldonDeployment) -> str:
    """YAML, always the same bytes for the same manifest, safe to read by YAML 1.1 and 1.2 alike."""
    return to_yaml([deployment.to_dict()])


def _of_seldon(text: str, source: str) -> list[Document]:
    return [document for document in documents(text, source) if is_seldon_deployment(document.data)]


def _place(problem: Problem) -> tuple[int, int]:
    return problem.line, problem.column
