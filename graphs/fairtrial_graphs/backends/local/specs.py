"""What is run for a predictor. Two specs that are equal need no restart to become one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fairtrial_graphs.backends.local.executor.graph import Graph


@dataclass(frozen=True)
class ModelSpec:
    """A model server that the launcher knows."""

    predictor: str
    node: str
    implementation: str
    model_uri: str
    parameters: Mapping[str, str]
    env: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.implementation} {self.model_uri}".rstrip()


@dataclass(frozen=True)
class StandInSpec:
    """A command that runs in place of a container's image."""

    predictor: str
    node: str
    image: str
    command: tuple[str, ...]
    env: Mapping[str, str]  # without what names ports

    def __str__(self) -> str:
        return f"{' '.join(self.command)} (for {self.image})"


@dataclass(frozen=True)
class PredictorSpec:
    """The servers of a predictor's nodes, and the graph that an executor walks over them.

    Without a graph there is one server, a model's, which callers reach without an executor.
    """

    predictor: str
    root: str  # node
    servers: tuple[ModelSpec | StandInSpec, ...]
    graph: Graph | None = None  # its nodes have no ports yet
    replicas: int = 1

    def __str__(self) -> str:
        what = ", ".join(str(server) for server in self.servers) or "a graph without servers"
        return what if self.replicas == 1 else f"{self.replicas} replicas of {what}"
