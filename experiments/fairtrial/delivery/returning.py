"""Back to the last good version: at once, without a trial."""

from __future__ import annotations

from fairtrial.delivery.anchoring import anchor
from fairtrial.delivery.inbox import Taken
from fairtrial.delivery.ledger import Action, Entry, in_service, last_good
from fairtrial.delivery.means import Means
from fairtrial.delivery.settling import settle
from fairtrial.delivery.trial import end_trials
from fairtrial.delivery.who import watcher
from fairtrial.errors import UsageError


def roll_back(means: Means, taken: Taken, why: str, *, to: str | None = None, by: str | None = None) -> Entry:
    """Have the last good version (or `to`) serve, and the alias point to it; the ledger's entry.

    It does not finish the event. Raises UsageError where there is none to return to, or the registry lacks
    it, and NotReadyError; it can be called again.
    """
    settle(means)
    entries = means.ledger.entries()
    known = next((e for e in entries if e.event == taken.event.key and e.action is Action.ROLLED_BACK), None)
    if known is not None:
        return known
    now = in_service(entries)
    target = to or last_good(entries)
    if target is None:
        raise UsageError(
            f"there is no earlier good version of {means.pipeline.name} to return to; the history has "
            f"{'none in service' if now is None else f'only {now.version}'}"
        )
    if now is not None and target == now.version:
        raise UsageError(f"version {target} is in service already")
    version = means.version(target)
    end_trials(means)
    means.say(f"{means.pipeline.name}: returning to version {target}")
    url = means.service.serve(means.pinned(version))  # users first
    means.registry.move(means.champion_alias, target)
    means.say(f"version {target} is in service at {url}")
    before = now.version if now is not None else None
    if before is not None:
        means.registry.tag(before, {"fairtrial.outcome": "rolledBack"})
    entry = means.ledger.add(
        taken,
        Action.ROLLED_BACK,
        version=target,
        before=before,
        why=why,
        by=by or f"{taken.event.trigger} ({watcher()})",
        evidence={},
    )
    anchor(means, entry)
    return entry
