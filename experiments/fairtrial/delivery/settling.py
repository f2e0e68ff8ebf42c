"""A promotion that a kill, or a service that is not ready, kept from the ledger."""

from __future__ import annotations

from fairtrial.delivery.anchoring import anchor
from fairtrial.delivery.events import Happening
from fairtrial.delivery.inbox import Inbox
from fairtrial.delivery.ledger import Action
from fairtrial.delivery.means import Means
from fairtrial.delivery.steps import Steps
from fairtrial.delivery.who import watcher


def settle(means: Means) -> None:
    """Write down the promotion whose alias has moved already: whoever rolls back must know what serves.

    Its event is done with then; its version is not put into service again. Raises NotReadyError, StateError.
    """
    for taken in Inbox(means.state).waiting():
        event = taken.event
        if event.happening is not Happening.CHALLENGER:
            continue
        said = Steps(means.state, taken, means.clock).done("intend")
        if said is None:
            continue
        holder = means.registry.holder(means.champion_alias)
        version = str(event.body["version"])
        if holder is None or holder.version != version:
            continue
        entry = means.ledger.close_with(
            taken,
            Action.PROMOTED,
            version=version,
            before=said["before"],
            why=said["why"],
            by=f"{event.trigger} ({watcher()})",
            evidence=said["evidence"],
        )
        anchor(means, entry)
