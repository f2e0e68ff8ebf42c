"""A pipeline made ready to work: its state, its registry, its service, and who is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fairtrial.clock import Clock
from fairtrial.delivery.ledger import Ledger
from fairtrial.delivery.means import Means
from fairtrial.delivery.pinning import load_template
from fairtrial.delivery.pipeline.model import Pipeline
from fairtrial.delivery.service.choose import service_of
from fairtrial.delivery.showing import Shown, resource_of_pod
from fairtrial.delivery.state import State, held
from fairtrial.delivery.telling import Teller
from fairtrial.planning.models import Fetching
from fairtrial.registry.choose import address_of, registry_for


@dataclass(frozen=True)
class Opened:
    means: Means
    tell: Callable[[], None]  # makes the ledger's new entries known


@contextmanager
def opened(
    pipeline: Pipeline,
    folder: Path,
    clock: Clock,
    say: Callable[[str], None],
    fetching: Fetching,
) -> Generator[Opened]:
    """Hold the pipeline, and all that it works with, for the block.

    folder: the pipeline's own. Raises HeldError, UsageError where its experiment will not do, and others.
    """
    load_template(pipeline.folder / pipeline.spec.experiment)
    registry = registry_for(pipeline.spec.registry)
    state = State(folder)
    try:
        with _told(address_of(pipeline.spec.registry)), held(folder):
            service = service_of(pipeline, folder, fetching)
            try:
                ledger = Ledger(state, pipeline.spec.registry.chosen.model, clock)
                ledger.entries()  # a broken chain is told before anything is done
                means = Means(pipeline, state, ledger, registry, service, clock, say, fetching)
                yield Opened(means, _telling(pipeline, state, clock, say))
            finally:
                service.close()
    finally:
        state.close()


def _telling(
    pipeline: Pipeline, state: State, clock: Clock, say: Callable[[str], None]
) -> Callable[[], None]:
    teller = Teller(pipeline, state, clock, say)
    show = resource_of_pod()
    if show is None:
        return teller.tell
    shown = Shown(state, show, clock, say)

    def tell() -> None:
        shown.tell()
        teller.tell()

    return tell


@contextmanager
def _told(variables: dict[str, str]) -> Generator[None]:
    """In the environment for the block: the model store reads a registry's address there."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
