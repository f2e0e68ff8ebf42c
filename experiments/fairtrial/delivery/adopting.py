"""A version that others put into service: it was there before us, or somebody moved the champion's alias."""

from __future__ import annotations

from fairtrial.delivery.anchoring import anchor
from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.inbox import Inbox, Taken
from fairtrial.delivery.ledger import Action, Entry, in_service
from fairtrial.delivery.means import Means
from fairtrial.delivery.who import watcher


def notice(means: Means) -> None:
    """Make an event of it where the alias has another holder than the ledger says. Raises NotReadyError.

    Only for when no delivery is under way: in the middle of one the alias moves before the ledger says so.
    """
    holder = means.registry.holder(means.champion_alias)
    now = in_service(means.ledger.entries())
    if holder is None or (now is not None and now.version == holder.version):
        return
    since = now.seq if now is not None else 0  # so that one that cannot be adopted is one event, not many
    Inbox(means.state).put(
        [
            Event(
                f"moved:{holder.version}:{since}",
                Happening.MOVED,
                "registry",
                means.clock.now(),
                {"version": holder.version},
            )
        ]
    )


def adopt(means: Means, taken: Taken) -> Entry:
    """Have it serve, and write down that it does."""
    version = means.version(str(taken.event.body["version"]))
    now = in_service(means.ledger.entries())
    holder = means.registry.holder(means.champion_alias)
    if holder is None or holder.version != version.version:
        return means.ledger.close_with(
            taken,
            Action.NOTED,
            version=version.version,
            before=now.version if now is not None else None,
            why=f"it had the alias {means.champion_alias}, and has it no longer",
            by=watcher(),
        )
    url = means.service.serve(means.pinned(version))
    if now is not None:
        means.say(f"version {version.version} is in service at {url}: somebody gave it the alias")
    entry = means.ledger.close_with(
        taken,
        Action.ADOPTED,
        version=version.version,
        before=now.version if now is not None else None,
        why=f"it had the alias {means.champion_alias} when the watch "
        + ("began" if now is None else "looked; it was given by somebody else"),
        by=watcher(),
        evidence={"uri": version.uri},
    )
    anchor(means, entry)
    return entry
