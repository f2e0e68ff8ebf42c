"""Layers whose bytes depend on nothing but the content: sorted, owned by root, of no time and no machine."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from fairtrial_servers.errors import ModelError, ServerError, UnsafeModelError
from fairtrial_servers.image.blobs import Blobs, Writing
from fairtrial_servers.image.oci import LAYER_GZIP, Descriptor

#: zlib's own default: level 9 takes three times as long for 1% less.
_LEVEL = 6


@dataclass(frozen=True)
class Layer:
    descriptor: Descriptor
    diff_id: str  # the digest of the tar inside


@dataclass(frozen=True)
class Entry:
    """A file of a layer: where it will be, without a leading slash, and what is in it."""

    path: str
    content: Path | bytes
    executable: bool = False


class _Hashing(io.RawIOBase):
    """Hands on what is written, and hashes it."""

    def __init__(self, target: IO[bytes]) -> None:
        super().__init__()
        self._target = target
        self.hash = hashlib.sha256()

    def write(self, data: bytes) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.hash.update(data)
        return self._target.write(data)


def write_layer(blobs: Blobs, entries: Iterable[Entry], annotations: Mapping[str, str]) -> Layer:
    """One layer of these files and their folders. Raises ServerError for a file that cannot be read.

    Every entry belongs to root and is readable by all, so that the server can change nothing, whatever user
    it runs as. Times are 0 also where SOURCE_DATE_EPOCH is set: a layer whose files are the same is the same.
    """
    files = sorted(entries, key=lambda entry: entry.path)
    with (
        blobs.writing() as blob,
        gzip.GzipFile("", "wb", _LEVEL, fileobj=_as_file(blob), mtime=0) as packed,
        _Hashing(packed) as hashing,  # pyright: ignore[reportArgumentType]
        tarfile.open(fileobj=hashing, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for folder in _folders(files):
            tar.addfile(_info(folder, 0o755, kind=tarfile.DIRTYPE))
        for entry in files:
            _add(tar, entry)
    return Layer(
        Descriptor(LAYER_GZIP, blob.digest, blob.size, annotations), f"sha256:{hashing.hash.hexdigest()}"
    )


def files_under(folder: Path, at: str, *, links: bool = True) -> Iterator[Entry]:
    """Every file under `folder`, as entries under `at`.

    With `links`, a link is followed as long as it stays in the folder. Raises UnsafeModelError for one that
    leaves it, ModelError for what is neither file nor folder.
    """
    inside = folder.resolve()
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            if not links:
                continue
            if not path.resolve().is_relative_to(inside):
                raise UnsafeModelError(
                    f"{path} is a link out of {folder}: copy what it leads to, or remove it"
                )
            if path.is_dir():
                raise ModelError(f"{path} is a link to a folder: replace it by the folder itself")
        if path.is_file():
            executable = bool(path.stat().st_mode & 0o100)
            yield Entry(str(PurePosixPath(at) / path.relative_to(folder).as_posix()), path, executable)
        elif not path.is_dir():
            raise ModelError(f"{path} is neither a file nor a folder, or leads nowhere")


def _as_file(blob: Writing) -> IO[bytes]:
    return blob  # pyright: ignore[reportReturnType]


def _folders(files: list[Entry]) -> list[str]:
    parents = {str(parent) for entry in files for parent in PurePosixPath(entry.path).parents}
    return sorted(parents - {"."})


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    mode = 0o755 if entry.executable else 0o644
    if isinstance(entry.content, bytes):
        tar.addfile(_info(entry.path, mode, len(entry.content)), io.BytesIO(entry.content))
        return
    try:
        with entry.content.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            tar.addfile(_info(entry.path, mode, size), file)
    except OSError as error:
        # tarfile says "unexpected end of data" of a file that shrank meanwhile.
        raise ServerError(f"cannot read {entry.content}: {error.strerror or error}") from error


def _info(path: str, mode: int, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.mode, info.size, info.type = mode, size, kind
    return info  # uid, gid and mtime are 0, and the names of the owner empty
