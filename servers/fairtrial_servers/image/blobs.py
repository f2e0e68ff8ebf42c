"""Files by their digest, in a folder laid out as the OCI says. Each appears whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import IO

from fairtrial_servers.errors import ModelError, ServerError
from fairtrial_servers.image.oci import LARGEST_DOCUMENT, Descriptor

CHUNK = 1024 * 1024


class Writing:
    """A blob that is being written; `digest` and `size` are of what was written so far."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


class Blobs:
    """`<root>/blobs/sha256/<hex>`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folder = root / "blobs" / "sha256"

    def path(self, digest: str) -> Path:
        return self._folder / digest.removeprefix("sha256:")

    def has(self, blob: Descriptor) -> bool:
        try:
            return self.path(blob.digest).stat().st_size == blob.size
        except OSError:
            return False

    @contextlib.contextmanager
    def writing(self, expected: Descriptor | None = None) -> Generator[Writing]:
        """A blob to write; kept once the block ends without an error.

        Raises ModelError where the digest or size is not the expected one, ServerError for a full disk.
        """
        temporary: Path | None = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".writing-", dir=self._folder)
            temporary = Path(name)
            with os.fdopen(handle, "wb") as file:
                blob = Writing(file)
                yield blob
                if expected is not None and (blob.digest, blob.size) != (expected.digest, expected.size):
                    raise ModelError(
                        f"the blob {expected.digest} is damaged: what came is {blob.digest}, "
                        f"{blob.size} bytes of {expected.size}"
                    )
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            temporary.replace(self.path(blob.digest))
        except OSError as error:
            if error.filename is None and error.errno is None:
                raise
            raise ServerError(f"cannot write to {self.root}: {error.strerror}") from error
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)

    def add(self, data: bytes, media_type: str, annotations: Mapping[str, str] | None = None) -> Descriptor:
        with self.writing() as blob:
            blob.write(data)
        return Descriptor(media_type, blob.digest, blob.size, annotations or {})

    def read(self, blob: Descriptor) -> bytes:
        """A small blob, checked. Raises ModelError."""
        if blob.size > LARGEST_DOCUMENT:
            raise ModelError(f"the document {blob.digest} has {blob.size} bytes: too large to be one")
        try:
            data = self.path(blob.digest).read_bytes()
        except OSError as error:
            raise ModelError(f"{self.root} lacks the blob {blob.digest}: {error.strerror}") from error
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != blob.digest:
            raise ModelError(f"{self.path(blob.digest)} is damaged: its content has another digest")
        return data

    def adopt(self, blob: Descriptor, source: Path) -> None:
        """Copy a blob, checking it on the way. Raises ModelError."""
        try:
            opened = source.open("rb")
        except OSError as error:
            raise ModelError(f"cannot read {source}: {error.strerror}") from error
        with opened as file, self.writing(blob) as target:
            for chunk in chunks(file):
                target.write(chunk)

    def keep_only(self, digests: Iterable[str]) -> None:
        """Remove every other blob."""
        wanted = {digest.removeprefix("sha256:") for digest in digests}
        for entry in self._folder.iterdir():
            if entry.name not in wanted:
                entry.unlink(missing_ok=True)


def chunks(file: IO[bytes], size: int = CHUNK) -> Iterable[bytes]:
    read: Callable[[], bytes] = lambda: file.read(size)  # noqa: E731
    return iter(read, b"")
