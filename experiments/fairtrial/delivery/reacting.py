"""What is done about an event, as the pipeline file says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fairtrial.delivery.adopting import adopt
from fairtrial.delivery.course import Course
from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.hooks.choose import hook_of
from fairtrial.delivery.inbox import Inbox, Taken
from fairtrial.delivery.ledger import INTO_SERVICE, Action, Entry, in_service
from fairtrial.delivery.means import Means
from fairtrial.delivery.pipeline.triggers import Reaction
from fairtrial.delivery.returning import roll_back
from fairtrial.delivery.settling import settle
from fairtrial.delivery.steps import Steps
from fairtrial.delivery.who import watcher
from fairtrial.errors import UsageError

#: What does not wait for the end of a trial.
_URGENT: frozenset[Reaction] = frozenset({"rollBack"})


def is_urgent(means: Means, event: Event) -> bool:
    return event.happening is Happening.UNDO or bool(_URGENT & set(_reactions(means, event)))


def handle(means: Means, taken: Taken, cut_off: Callable[[], bool]) -> None:
    """Do what is to be done, and finish the event.

    cut_off: whether something more urgent waits. Raises FairtrialError: the event then waits as before.
    """
    event = taken.event
    match event.happening:
        case Happening.CHALLENGER:
            Course(means, taken, cut_off).run()
        case Happening.MOVED:
            adopt(means, taken)
        case Happening.UNDO:
            said = event.body
            why = f"undone: {said['reason']}" if said.get("reason") else "undone"
            _check_still_meant(means, event)
            entry = roll_back(means, taken, why, to=said.get("to"), by=str(said["by"]))
            _finish(means, taken, [entry])
        case _:
            _react(means, taken, cut_off)


def _check_still_meant(means: Means, event: Event) -> None:
    """Raises UsageError where another version serves than when somebody asked for the way back."""
    settle(means)
    entries = means.ledger.entries()
    if any(entry.event == event.key and entry.action is Action.ROLLED_BACK for entry in entries):
        return  # it is done, and was not finished
    now, of = in_service(entries), event.body.get("of")
    if event.body.get("to") is None and of is not None and now is not None and now.version != of:
        raise UsageError(
            f"version {of} was in service when this was asked, and {now.version} is now: ask again if that "
            f"is to go"
        )


def give_up(means: Means, taken: Taken, why: str) -> Entry:
    """It cannot be done: write down why, and finish the event."""
    now = in_service(means.ledger.entries())
    version = taken.event.body.get("version")
    means.say(f"{taken.event.summary}: {why}")
    return means.ledger.close_with(
        taken,
        Action.FAILED,
        version=str(version) if version is not None else None,
        before=now.version if now is not None else None,
        why=why,
        by=f"{taken.event.trigger} ({watcher()})",
    )


def _react(means: Means, taken: Taken, cut_off: Callable[[], bool]) -> None:
    event = taken.event
    why = event.summary
    done: list[Entry] = []
    for reaction in _reactions(means, event):
        if reaction == "rollBack":
            done.append(_rolled_back(means, taken, why))
        elif reaction == "tryNext":
            done += _next_tried(means, taken, why)
        elif reaction == "retrain":
            done.append(_retrained(means, taken, why, cut_off))
        elif not done:  # notify: what the others write is told as it is; alone, it is an entry of its own
            done.append(_noted(means, taken, why))
    _finish(means, taken, done)


def _rolled_back(means: Means, taken: Taken, why: str) -> Entry:
    if outlived := is_outlived(taken.event, means.ledger.entries()):
        return _noted(means, taken, f"{why}; {outlived}")
    try:
        return roll_back(means, taken, why)
    except UsageError as error:
        return _noted(means, taken, f"{why}; {error}")


def is_outlived(event: Event, entries: Sequence[Entry]) -> str | None:
    """Why an alert is none about what serves now, in words: one that serves since. None if it may be.

    Where several series fire for one bad version, the first takes it out of service, and the others must not
    take out the good one that it made way for.
    """
    now = in_service(entries)
    if now is None or event.happening is not Happening.ALERT or event.time >= now.time:
        return None
    if any(entry.event == event.key and entry.action is Action.ROLLED_BACK for entry in entries):
        return None  # it did so itself, before a kill
    return f"it began before version {now.version} was put into service"


def _next_tried(means: Means, taken: Taken, why: str) -> list[Entry]:
    """The newest version that never served and was not tried becomes an event of its own."""
    entries = means.ledger.entries()
    known = {entry.version for entry in entries if entry.action in INTO_SERVICE | {Action.REFUSED}}
    inbox = Inbox(means.state)
    known |= {str(each.event.body.get("version")) for each in inbox.waiting()}
    found = next((version for version in means.registry.versions() if version.version not in known), None)
    if found is None:
        return [_noted(means, taken, f"{why}; there is no version left to try")]
    key = f"{taken.event.key}:next"
    inbox.put(
        [
            Event(
                key,
                Happening.CHALLENGER,
                taken.event.trigger,
                taken.event.time,
                {"model": found.model, "version": found.version},
            )
        ]
    )
    means.say(f"{means.pipeline.name}: {why}; version {found.version} is tried next")
    return []


def _retrained(means: Means, taken: Taken, why: str, cut_off: Callable[[], bool]) -> Entry:
    hook = hook_of(means.pipeline, means.state.folder)
    assert hook is not None, "the model demands it where a trigger retrains"
    steps = Steps(means.state, taken, means.clock)
    started = steps.once("retrain", lambda: {"started": hook.start(taken.event, cut_off)})["started"]
    return _entry(means, taken, Action.RETRAINING, f"{why}; retraining: {started}")


def _noted(means: Means, taken: Taken, why: str) -> Entry:
    return _entry(means, taken, Action.NOTED, why)


def _entry(means: Means, taken: Taken, action: Action, why: str) -> Entry:
    now = in_service(means.ledger.entries())
    version = now.version if now is not None else None
    by = f"{taken.event.trigger} ({watcher()})"
    return means.ledger.add(taken, action, version=version, before=version, why=why, by=by)


def _finish(means: Means, taken: Taken, entries: list[Entry]) -> None:
    outcome = {"entries": [entry.seq for entry in entries]}
    if entries:
        outcome |= {"action": entries[0].action.value}
    Inbox(means.state).finish(taken, outcome)


def _reactions(means: Means, event: Event) -> tuple[Reaction, ...]:
    """As the file says now; an event of a trigger that is no longer there is only noted."""
    if event.happening is Happening.CHALLENGER:
        return ()
    named = next((t for t in means.pipeline.spec.triggers if t.name == event.trigger), None)
    return tuple(named.do or ()) if named is not None else ("notify",)
