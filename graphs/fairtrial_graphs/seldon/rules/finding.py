"""What a rule has to say, and what rules look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fairtrial_graphs.seldon.types import Node, Predictor, SeldonDeployment


@dataclass(frozen=True)
class Finding:
    path: str  # of the field, as in spec.predictors.1.traffic
    message: str
    refused: bool  # True: Seldon Core does not take the manifest, or Kubernetes not what it makes of it

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


Rule = Callable[[SeldonDeployment], Iterator[Finding]]


def predictors(deployment: SeldonDeployment) -> Iterator[tuple[str, Predictor]]:
    """Each with its path."""
    for index, predictor in enumerate(deployment.spec.predictors):
        yield f"spec.predictors.{index}", predictor


def nodes(deployment: SeldonDeployment) -> Iterator[tuple[Predictor, str, Node]]:
    """Each with its predictor and its path."""
    for path, predictor in predictors(deployment):
        for place, node in predictor.graph.walk(f"{path}.graph"):
            yield predictor, place, node
