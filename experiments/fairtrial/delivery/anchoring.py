"""The ledger's hash, kept where whoever owns the ledger cannot quietly change it."""

from __future__ import annotations

from fairtrial.delivery.ledger import HEAD_TAG, Entry
from fairtrial.delivery.means import Means
from fairtrial.errors import NotReadyError


def anchor(means: Means, entry: Entry) -> None:
    """Keep the entry's hash in the tags of the version that it is of."""
    if entry.version is None:
        return
    try:
        means.registry.tag(entry.version, {HEAD_TAG: f"{entry.seq}:{entry.hash}"})
    except NotReadyError as error:
        means.say(f"the hash of entry {entry.seq} is not at the registry: {error}")
