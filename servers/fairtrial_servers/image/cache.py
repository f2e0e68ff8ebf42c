"""Layers that were made or downloaded before, so that the next version of a model is packed in no time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from fairtrial_servers.errors import ServerError
from fairtrial_servers.image.blobs import Blobs
from fairtrial_servers.image.layers import Layer
from fairtrial_servers.image.oci import LAYER_GZIP, Descriptor

#: A layer that no image asked for in so many days is removed.
KEPT_DAYS = 30


def default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fairtrial" / "images"


class LayerCache:
    """A folder that processes may share: everything in it appears whole, and can be removed at any time."""

    def __init__(self, root: Path) -> None:
        self.blobs = Blobs(root)
        self._made = root / "made"

    def find(self, key: str, annotations: Mapping[str, str]) -> Layer | None:
        """The layer that was kept under a key, if it is still whole."""
        try:
            said = json.loads((self._made / _name(key)).read_bytes())
            layer = Layer(
                Descriptor(LAYER_GZIP, said["digest"], said["size"], annotations), str(said["diff_id"])
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if not self.blobs.has(layer.descriptor):
            return None
        self.touch(layer.descriptor)
        return layer

    def keep(self, key: str, layer: Layer) -> None:
        said = {"digest": layer.descriptor.digest, "size": layer.descriptor.size, "diff_id": layer.diff_id}
        self._replace(self._made / _name(key), json.dumps(said))

    def text(self, key: str, make: Callable[[], str]) -> str:
        """The text that was kept under a key; made and kept where there is none."""
        file = self._made / _name(f"text {key}")
        with contextlib.suppress(OSError, UnicodeDecodeError):
            found = file.read_text(encoding="utf-8")
            os.utime(file)
            return found
        made = make()
        self._replace(file, made)
        return made

    def _replace(self, file: Path, text: str) -> None:
        try:
            self._made.mkdir(parents=True, exist_ok=True)
            temporary = file.with_suffix(f".{os.getpid()}")
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(file)
        except OSError as error:
            raise ServerError(f"cannot write to {self._made}: {error.strerror}") from error

    def touch(self, blob: Descriptor) -> None:
        """Note that a blob was used."""
        with contextlib.suppress(OSError):
            os.utime(self.blobs.path(blob.digest))

    def tidy(self) -> None:
        """Remove what was not used for a month."""
        oldest = time.time() - KEPT_DAYS * 86400
        for file in (*self.blobs.root.glob("blobs/sha256/*"), *self._made.glob("*")):
            with contextlib.suppress(OSError):
                if file.stat().st_mtime < oldest:
                    file.unlink()


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
