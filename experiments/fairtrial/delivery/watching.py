"""`Watch` with everything that runs beside it: the triggers, the listener, and who is told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fairtrial.clock import Clock, SystemClock
from fairtrial.delivery.hooks.choose import hook_of
from fairtrial.delivery.ledger import in_service, newest, read
from fairtrial.delivery.narrating import as_documents
from fairtrial.delivery.opening import opened
from fairtrial.delivery.pipeline.model import Pipeline
from fairtrial.delivery.places import folder_of
from fairtrial.delivery.polling import Poller
from fairtrial.delivery.state import State
from fairtrial.delivery.triggers.choose import listener_of, triggers_of
from fairtrial.delivery.watch import Watch
from fairtrial.planning.models import Fetching


def watch(
    pipeline: Pipeline,
    state_dir: Path | None,
    *,
    once: bool,
    say: Callable[[str], None],
    fetching: Fetching,
    document: Callable[[Any], None] | None = None,
    clock: Clock | None = None,
) -> None:
    """Until interrupted, or until what is there now is done. Raises FairtrialError of every kind.

    document: gets each entry of the ledger that is written meanwhile, as data.
    """
    clock = clock or SystemClock()
    folder = folder_of(pipeline.folder, pipeline.name, state_dir)
    wake = threading.Event()
    with ExitStack() as stack:
        parts = stack.enter_context(opened(pipeline, folder, clock, say, fetching))

        def serving() -> tuple[str, float] | None:
            """The version in service and since when; asked from the polling thread."""
            state = State(folder)
            try:
                entry = in_service(read(state))
            finally:
                state.close()
            return (entry.version, entry.time) if entry is not None and entry.version is not None else None

        triggers = triggers_of(pipeline, parts.means.registry, serving)
        hook_of(pipeline, folder)  # a secret that is missing is told now, not at the first alert
        poller = Poller(triggers.polled, folder, clock, say)
        announce = _announcing(parts.means.state, document) if document is not None else None

        def tell() -> None:
            parts.tell()
            if announce is not None:
                announce()

        watch = Watch(parts.means, poller, tell, wake)
        if once:
            watch.run_once()
            return
        listener = listener_of(pipeline, triggers, folder, clock, wake.set)
        if listener is not None:
            listener.start()
            stack.callback(listener.stop)
            say(f"{pipeline.name} listens at {listener.url}")
        watch.run()


def _announcing(state: State, document: Callable[[Any], None]) -> Callable[[], None]:
    """Gives each entry that was not there when it was made."""
    known = newest(state)

    def announce() -> None:
        nonlocal known
        if newest(state) == known:
            return
        for entry in read(state):
            if entry.seq > known:
                document(as_documents([entry])[0])
                known = entry.seq

    return announce
