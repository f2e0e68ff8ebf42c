"""The ledger's hash, kept where whoever owns the ledger cannot quietly change it."""

from __future__ import annotations

from collections.abc import Sequence

from fairtrial.delivery.ledger import HEAD_TAG, Entry
from fairtrial.delivery.means import Means
from fairtrial.delivery.state import StateError
from fairtrial.errors import NotReadyError
from fairtrial.registry.interface import Registry


def anchor(means: Means, entry: Entry) -> None:
    """Keep the entry's hash in the tags of the version that it is of."""
    if entry.version is None:
        return
    try:
        means.registry.tag(entry.version, {HEAD_TAG: f"{entry.seq}:{entry.hash}"})
    except NotReadyError as error:
        means.say(f"the hash of entry {entry.seq} is not at the registry: {error}")


def check_anchors(entries: Sequence[Entry], registry: Registry) -> int:
    """How many versions have a hash of these entries, which are unbroken in themselves.

    Raises StateError where a version has one that is none of theirs, and NotReadyError.
    """
    hashes = {f"{entry.seq}:{entry.hash}" for entry in entries}
    found = [version for version in registry.versions() if HEAD_TAG in version.tags]
    for version in found:
        said = version.tags[HEAD_TAG]
        if said not in hashes:
            seq = said.partition(":")[0]
            raise StateError(
                f"the history was tampered with: version {version.version} has the hash of an entry {seq} at "
                f"the registry, and the history has no such entry; it has {len(entries)}"
            )
    return len(found)
