"""An image or artifact that was made and is not yet anywhere: what it is, and where its blobs are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fairtrial_servers.errors import ServerError
from fairtrial_servers.image.blobs import Blobs
from fairtrial_servers.image.oci import Descriptor


@dataclass
class Packed:
    root: Descriptor  # the manifest, or the index of several
    sources: tuple[Blobs, ...]
    manifests: list[Descriptor]  # those below the root come before it
    blobs: list[Descriptor]  # layers and configurations, each once
    #: Digest of a blob -> REGISTRY/NAME that has it already.
    mount_from: dict[str, str] = field(default_factory=dict[str, str])

    def path(self, blob: Descriptor) -> Path:
        """The file of a blob. Raises ServerError."""
        for source in self.sources:
            if source.has(blob):
                return source.path(blob.digest)
        raise ServerError(f"the blob {blob.digest} was removed while it was needed: run the command again")

    def files(self) -> Iterator[tuple[Descriptor, Path]]:
        """Every blob, manifests last."""
        for blob in (*self.blobs, *self.manifests):
            yield blob, self.path(blob)

    @property
    def size(self) -> int:
        """Bytes of all blobs, as they are stored and sent."""
        return sum(blob.size for blob in (*self.blobs, *self.manifests))
