"""Files as they come in: under safe names, within limits, counted, summed up and synced to the disk."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.store.manifest import FileRecord
from fairtrial_servers.store.settings import in_words

#: More files than any model has, and fewer than a mistaken prefix or an archive made to fill the disk.
MOST_FILES = 10_000
CHUNK = 1 << 20


class Sink:
    """One file that is being received."""

    def __init__(self, file: BinaryIO, received: Callable[[int], None]) -> None:
        self._file = file
        self._received = received
        self.size = 0
        self.sha256 = hashlib.sha256()
        self.md5 = hashlib.md5(usedforsecurity=False)  # what stores state

    def write(self, content: bytes) -> None:
        self.size += len(content)
        self._received(len(content))
        self.sha256.update(content)
        self.md5.update(content)
        self._file.write(content)


class Receiver:
    """Takes the files of one model into `folder`."""

    def __init__(
        self,
        folder: Path,
        what: str,
        most_bytes: int,
        progress: Callable[[int, int | None], None],
        make_room: Callable[[int], None] = lambda _size: None,
    ) -> None:
        """what: the address, as it may be shown. make_room: told how much is to come, once it is known."""
        self.folder = folder
        self.what = what
        self.files: list[FileRecord] = []
        self._most = most_bytes
        self._progress = progress
        self._make_room = make_room
        self._total: int | None = None
        self._done = 0

    def expect(self, total: int, files: int = 1) -> None:
        """Say how much is to come. Raises ModelError when it is more than is kept."""
        self._check(total, files)
        self._total = total
        self._make_room(total)
        self._progress(self._done, total)

    @contextmanager
    def file(self, name: str, size: int | None = None) -> Generator[Sink]:
        """Receive one file; `size` is what it must turn out to have.

        name: relative, its parts separated by /. Raises UnsafeModelError for one that leads elsewhere.
        """
        path = self.folder.joinpath(*self._parts(name))
        self._check(self._done, len(self.files) + 1)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("xb")
        except (FileExistsError, NotADirectoryError):
            raise ModelError(f"{self.what} has two files that are both {name!r} on this disk") from None
        with file:
            sink = Sink(file, self._count)
            yield sink
            if size is not None and sink.size != size:
                raise ModelError(
                    f"{self.what} is broken on its way: {sink.size:,} of {size:,} bytes of {name!r} arrived"
                )
            file.flush()
            os.fsync(file.fileno())
        path.chmod(0o444)  # what a server does to its model must not change what the next one gets
        self.files.append(FileRecord(name, sink.size, sink.sha256.hexdigest()))

    def forget(self) -> None:
        """Throw away what has come, to begin again."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        self.files.clear()
        self._done = 0

    def _count(self, size: int) -> None:
        self._done += size
        self._check(self._done, len(self.files))
        self._progress(self._done, self._total)

    def _check(self, size: int, files: int) -> None:
        if size > self._most:
            much = in_words(size) if size > self._done else f"more than {in_words(self._most)}"
            raise ModelError(
                f"{self.what} is too large: {much}, and the cache keeps {in_words(self._most)} in all; "
                f"FAIRTRIAL_CACHE_SIZE says how much"
            )
        if files > MOST_FILES:
            raise ModelError(
                f"{self.what} has more than {MOST_FILES:,} files: is this the folder of one model?"
            )

    def _parts(self, name: str) -> list[str]:
        parts = name.split("/")
        bad = (
            name.startswith("/")
            or "\\" in name
            or any(part in ("", ".", "..") for part in parts)
            or not name.isprintable()
        )
        if bad:
            raise UnsafeModelError(
                f"{self.what} lists a file {name!r}: a name that leads elsewhere is refused"
            )
        if any(len(part.encode()) > 255 for part in parts) or len(name) > 1000:
            raise ModelError(f"{self.what} has a file whose name is longer than disks take: {name[:60]!r}...")
        return parts
