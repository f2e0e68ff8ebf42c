"""A watch for tests: a real registry, state and ledger, and a clock that the test moves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.clocks import StoppedClock
from fairtrial.controller.placing import Cluster
from fairtrial.delivery.ledger import Entry, Ledger, in_service, read
from fairtrial.delivery.means import Means
from fairtrial.delivery.pinning import Pinned
from fairtrial.delivery.pipeline.model import Pipeline
from fairtrial.delivery.polling import Poller
from fairtrial.delivery.state import State
from fairtrial.delivery.triggers.choose import triggers_of
from fairtrial.delivery.watch import Watch
from fairtrial.planning.models import silent
from fairtrial.registry.choose import registry_for


@dataclass
class StandIn:
    """In place of the servers of a version, which take half a minute each: who would serve.

    What a real `Service` does is tested with the local plane, and in the story of the whole loop.
    """

    served: list[str] = field(default_factory=list)
    error: Exception | None = None
    cluster: Cluster | None = None
    outlives: bool = False

    def serve(self, version: Pinned) -> str:
        if self.error is not None:
            raise self.error
        self.served.append(version.version)
        return "http://127.0.0.1:8080"

    def incidents(self) -> list[str]:
        return []

    def close(self) -> None:
        pass


def pipeline_of(folder: Path, url: str, **spec: Any) -> Pipeline:
    """Of the model wine, in a folder with its experiment."""
    registry = {"mlflow": {"model": "wine", "alias": "champion", "trackingUri": url}}
    return Pipeline.model_validate(
        {
            "apiVersion": "fairtrial.dev/v1alpha1",
            "kind": "Pipeline",
            "metadata": {"name": "wine"},
            "spec": {"registry": registry, **spec},
        },
        context={"folder": folder},
    )


class Watched:
    """One process that watches; another one for the same pipeline goes on where it was."""

    def __init__(self, pipeline: Pipeline, clock: StoppedClock | None = None) -> None:
        self.clock = clock or StoppedClock()
        self.folder = pipeline.folder / "deliveries" / "wine"
        self.state = State(self.folder)
        self.service = StandIn()
        self.said: list[str] = []
        ledger = Ledger(self.state, "wine", self.clock)
        registry = registry_for(pipeline.spec.registry)
        say: Callable[[str], None] = self.said.append
        self.means = Means(pipeline, self.state, ledger, registry, self.service, self.clock, say, silent)
        poller = Poller(triggers_of(pipeline, registry, self._serving).polled, self.folder, self.clock, say)
        self.watch = Watch(self.means, poller, lambda: None, threading.Event())

    def once(self) -> list[Entry]:
        """All that comes up now, done; the entries that are new by it."""
        known = len(read(self.state))
        self.watch.run_once()
        return self.entries[known:]

    def work(self) -> list[Entry]:
        """As the watch that runs does while there is something to do; the entries that are new by it."""
        known = len(read(self.state))
        while self.watch.work():
            pass
        return self.entries[known:]

    @property
    def entries(self) -> list[Entry]:
        return read(self.state)

    @property
    def history(self) -> list[tuple[str, str | None, str | None]]:
        return [(entry.action.value, entry.version, entry.before) for entry in self.entries]

    def _serving(self) -> tuple[str, float] | None:
        entry = in_service(self.entries)
        return (entry.version, entry.time) if entry is not None and entry.version is not None else None
