"""Compressed files and archives: what is in them is examined, and they may not unfold without bounds."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import IO, Any, cast

from joblib.compressor import BinaryZlibFile

from fairtrial_servers.safety.scan.content import Content, Role, Yielded
from fairtrial_servers.safety.scan.findings import in_a_line

_REFUSED = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"\x89LZO": "lzo",
    b"\x1f\x9d": "compress",
    b"\xff\x06\x00\x00sNaPpY": "snappy",
}
_ENDINGS = ("gz", "bz2", "xz", "lzma", "z")
_FAILURES = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)


def compression(head: bytes) -> Callable[[IO[bytes]], Any] | None:
    """What decompresses a file that starts like this, if it is compressed in a way that can be read."""
    if head[:2] == b"\x1f\x8b":
        return lambda raw: gzip.GzipFile(fileobj=raw, mode="rb")  # a temporary file says that it is written
    if head[:3] == b"BZh":
        return bz2.BZ2File
    if head[:6] == b"\xfd7zXZ\x00" or head[:3] == b"]\x00\x00":
        return lzma.LZMAFile
    return BinaryZlibFile if head[:1] == b"\x78" and _is_zlib(head) else None


def _is_zlib(head: bytes) -> bool:
    """Whether it decompresses: its mark is an x, with which many a text begins."""
    try:
        zlib.decompressobj().decompress(head, 1)
    except zlib.error:
        return False
    return True


def refused(head: bytes) -> str | None:
    """The name of a compression that is not read here."""
    return next((name for magic, name in _REFUSED.items() if head.startswith(magic)), None)


def check_refused(content: Content) -> Yielded:
    kind = refused(content.head(16))
    yield content.unknown(
        f"it is compressed by {kind}, which is not read here: use zlib, gzip, bz2, xz or zip"
    )


def check_compressed(content: Content) -> Yielded:
    """What a compressed file unfolds to."""
    content.stream.seek(0)
    opened = compression(content.head(4096))
    assert opened is not None
    content.stream.seek(0)
    name = content.name.rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    inside = f"{stem}.tar" if ending.lower() == "tgz" else stem if dot and ending.lower() in _ENDINGS else ""
    try:
        with content.within(inside, cast("IO[bytes]", opened(content.stream)), content.role) as inner:
            yield inner
    except _FAILURES as error:
        yield content.damaged(f"it does not decompress: {in_a_line(error)}")


class Capped(io.RawIOBase):
    """A stream that gives no more than this at once: readers of archives take an author's word for sizes."""

    _MOST = 64 << 20

    def __init__(self, content: Content) -> None:
        super().__init__()
        self._stream = content.stream
        self._size = content.size

    def read(self, size: int | None = -1, /) -> bytes:
        left = self._size - self._stream.tell()
        if size is None or size < 0 or size > left:
            size = max(left, 0)
        if size > self._MOST:
            raise ValueError("a header in it is too long")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def is_tar(content: Content) -> bool:
    block = content.head(512)
    if len(block) < 512 or not block.strip(b"\0"):
        return False
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def check_tar(content: Content) -> Yielded:
    content.stream.seek(0)
    try:
        with tarfile.open(fileobj=Capped(content), mode="r:") as archive:
            while (entry := archive.next()) is not None:
                archive.members = []  # type: ignore[assignment]  # a list of all would grow without bounds
                content.budget.member()
                name = entry.name
                if leaves(name):
                    yield content.unsafe(f"would unpack to {name!r}", "outside the model's folder")
                elif entry.issym() or entry.islnk():
                    aim = entry.linkname
                    base = PurePosixPath(name).parent if entry.issym() else PurePosixPath()
                    if leaves(aim) and (aim.startswith("/") or leaves(str(base / aim))):
                        yield content.unsafe(
                            f"holds {name!r}, a link to {aim!r}", "outside the model's folder"
                        )
                elif entry.isfile():
                    source = archive.extractfile(entry)
                    assert source is not None
                    with content.within(name, source) as inner:
                        yield inner
                        if inner.size != entry.size:
                            yield inner.damaged("it is cut off")
                elif not entry.isdir():
                    yield content.unsafe(f"holds {name!r}", "which is a device or a pipe and no file")
    except (tarfile.TarError, *_FAILURES) as error:
        yield content.damaged(f"it is no whole tar archive: {in_a_line(error)}")


def leaves(name: str) -> bool:
    """Whether a path in an archive leads out of the folder that it is unpacked to."""
    path = name.replace("\\", "/")
    if path.startswith("/") or path[1:2] == ":":
        return True
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return True
    return False


def zip_members(
    content: Content, archive: zipfile.ZipFile, role_of: Callable[[str], Role] = lambda _: Role.ANY
) -> Yielded:
    """The files of an open zip, and what is wrong with their names."""
    for entry in archive.infolist():
        content.budget.member()
        if entry.is_dir():
            continue
        if leaves(entry.filename) or leaves(entry.orig_filename):
            yield content.unsafe(f"would unpack to {entry.filename!r}", "outside the model's folder")
            continue
        if stat.S_ISLNK(entry.external_attr >> 16):
            yield content.unsafe(f"holds {entry.filename!r}, a link", "which no model in a zip needs")
            continue
        try:
            with (
                archive.open(entry) as source,
                content.within(entry.filename, source, role_of(entry.filename)) as inner,
            ):
                yield inner
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, *_FAILURES) as error:
            yield content.unknown(f"{entry.filename!r} in it cannot be read: {in_a_line(error)}")
