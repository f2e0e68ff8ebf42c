"""A person wants the last good version back: the watch does it, or whoever asks."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from fairtrial.clock import Clock, SystemClock
from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.inbox import Inbox
from fairtrial.delivery.ledger import Action, Entry, in_service, read
from fairtrial.delivery.opening import Opened, opened
from fairtrial.delivery.pipeline.model import Pipeline
from fairtrial.delivery.places import folder_of
from fairtrial.delivery.reacting import give_up, handle
from fairtrial.delivery.state import HeldError, State, StateError
from fairtrial.delivery.who import watcher
from fairtrial.errors import NotReadyError, UsageError
from fairtrial.planning.models import Fetching

_POLL_SECONDS = 0.2
_PATIENCE = 300.0  # seconds for the watch to do it


def undo(
    pipeline: Pipeline,
    state_dir: Path | None,
    *,
    to: str | None,
    reason: str,
    say: Callable[[str], None],
    fetching: Fetching,
    clock: Clock | None = None,
) -> Entry:
    """The ledger's entry once it is done. Raises UsageError where there is none to return to, and others."""
    clock = clock or SystemClock()
    folder = folder_of(pipeline.folder, pipeline.name, state_dir)
    with closing(State(folder, make=False)) as state:
        now = in_service(read(state))
        of = now.version if now is not None else None
        body = {"by": watcher(), "reason": reason, "to": to, "of": of}
        event = Event(f"undo:{uuid.uuid4().hex}", Happening.UNDO, "undo", clock.now(), body)
        inbox = Inbox(state)
        deadline: float | None = None
        while (taken := inbox.get(event.key)) is None or taken.outcome is None:
            try:
                with opened(pipeline, folder, clock, say, fetching) as parts:
                    _do(parts, inbox, event)
            except HeldError:
                if deadline is None:
                    inbox.put([event])
                    say("the watch that runs is told")
                    deadline = clock.now() + _PATIENCE
                elif clock.now() > deadline:
                    raise NotReadyError(
                        f"the watch has not done it within {_PATIENCE:g} s; it still will: see what it says"
                    ) from None
                clock.sleep(_POLL_SECONDS)
        entries = [entry for entry in read(state) if entry.event == event.key]
    done = next((entry for entry in entries if entry.action is Action.ROLLED_BACK), None)
    if done is None:
        raise UsageError(entries[0].why if entries else "it was not done; see `fairtrial history`")
    return done


def _do(parts: Opened, inbox: Inbox, event: Event) -> None:
    """Now or not at all: what waited would be done by the next watch, when nobody expects it any more."""
    inbox.put([event])
    taken = inbox.get(event.key)
    assert taken is not None, "it was put there"
    if taken.outcome is not None:  # the watch did it before it ended
        return
    try:
        handle(parts.means, taken, lambda: False)
    except UsageError as error:
        give_up(parts.means, taken, str(error))
    except StateError:
        raise
    except BaseException as error:
        give_up(parts.means, taken, str(error) or "interrupted")
        raise
    finally:
        parts.tell()
