"""From a reference to the one manifest that is wanted, whatever index is in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fairtrial_servers.errors import ModelError
from fairtrial_servers.image.oci import INDEX_TYPES, Descriptor, descriptors, document
from fairtrial_servers.image.platforms import Platform

#: An index in an index in an index is no image.
_DEEPEST = 3


def choose(
    root: Descriptor, read: Callable[[Descriptor], bytes], wanted: Platform, where: str
) -> tuple[Descriptor, dict[str, Any]]:
    """The manifest that `root` is, or that it lists for the wanted platform. Raises ModelError.

    An entry that names no platform (an artifact) is taken where none names the wanted one.
    """
    for _ in range(_DEEPEST):
        said = document(read(root), where)
        media_type = said.get("mediaType") or root.media_type
        if media_type not in INDEX_TYPES and not ("manifests" in said and "layers" not in said):
            if not isinstance(said.get("layers"), list):
                raise ModelError(f"{where} is no image manifest: it lists no layers (type {media_type!r})")
            return root, said
        root = _one_of(descriptors(said, "manifests", where), wanted, where)
    raise ModelError(f"{where} is an index of indexes of indexes, and no image")


def _one_of(listed: Sequence[Descriptor], wanted: Platform, where: str) -> Descriptor:
    found = [each for each in listed if wanted.fits(each.platform)] or [
        each for each in listed if not each.platform
    ]
    if not found:
        names = sorted(
            {"/".join((e.platform.get("os", "?"), e.platform.get("architecture", "?"))) for e in listed}
        )
        raise ModelError(
            f"{where} has no image for {wanted.name}; it has {', '.join(names) or 'none at all'}"
        )
    return found[0]
