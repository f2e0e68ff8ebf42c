"""Files out of layers of someone else: nothing is written outside the folder, whatever the layer says.

Later layers change what earlier ones left: files are replaced, and taken away by whiteouts.
"""

from __future__ import annotations

import gzip
import io
import posixpath
import shutil
import stat
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from fairtrial_servers.errors import ModelError, ServerError, UnsafeModelError
from fairtrial_servers.image.blobs import CHUNK, chunks

#: A layer may unpack to this many times its size, or to this many bytes where that is more.
EXPANSION = 200
FLOOR = 1024**3
#: Files, folders and links of all layers.
MOST_ENTRIES = 200_000

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


class _Counting(io.RawIOBase):
    """What is read, up to a limit."""

    def __init__(self, source: IO[bytes], limit: int, where: str) -> None:
        super().__init__()
        self._source, self._left, self._where = source, limit, where

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise UnsafeModelError(f"{self._where} unpacks to more than {EXPANSION} times its size: refused")
        return data


@dataclass
class Unpacking:
    """Layers, one after another, into `into`: what they have under `prefix`, a path in the image."""

    into: Path
    prefix: str
    where: str  # for messages
    _entries: int = field(default=0, init=False)

    def layer(self, file: Path) -> None:
        """Apply a layer, a tar that may be gzipped. Raises ModelError, UnsafeModelError, ServerError."""
        fresh: set[str] = set()  # whiteouts are about older layers only
        limit = max(FLOOR, EXPANSION * file.stat().st_size)
        try:
            with (
                file.open("rb") as raw,
                _decompressed(raw, self.where) as plain,
                tarfile.open(
                    fileobj=_Counting(plain, limit, self.where),  # pyright: ignore[reportArgumentType]
                    mode="r|",
                    bufsize=CHUNK,
                ) as tar,
            ):
                for info in tar:
                    self._entries += 1
                    if self._entries > MOST_ENTRIES:
                        raise UnsafeModelError(f"{self.where} has more than {MOST_ENTRIES} files: refused")
                    self._entry(tar, info, fresh)
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ModelError(f"{self.where} is damaged: a layer cannot be unpacked: {error}") from None
        except OSError as error:
            raise ServerError(f"cannot write to {self.into}: {error.strerror or error}") from error

    def file(self, path: str, source: Path) -> None:
        """Move a whole file to its place."""
        target = self.place(_clean(path, self.where))
        source.replace(target)

    def finish(self) -> None:
        """Raise UnsafeModelError if a link leads out, ModelError if there is nothing."""
        inside = self.into.resolve()
        empty = True
        for path in self.into.rglob("*"):
            empty = False
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                raise UnsafeModelError(
                    f"{self.where}: {path.relative_to(self.into)} is a link out of the model"
                )
        if empty:
            at = f" at /{self.prefix}" if self.prefix else ""
            raise ModelError(f"{self.where} has no model{at}")

    def place(self, path: str) -> Path:
        """Where a path of the model goes: its folders are made, and nothing that a link leads to is touched."""  # noqa: E501
        folder = self.into
        for part in PurePosixPath(path).parts[:-1]:
            folder = folder / part
            _make_folder(folder)
        target = folder / PurePosixPath(path).name
        _remove(target)
        return target

    def _entry(self, tar: tarfile.TarFile, info: tarfile.TarInfo, fresh: set[str]) -> None:
        path = _clean(info.name, self.where)
        name = posixpath.basename(path)
        if name == _OPAQUE:
            self._hide(posixpath.dirname(path), fresh, itself=False)
            return
        if name.startswith(_WHITEOUT):
            self._hide(posixpath.join(posixpath.dirname(path), name[len(_WHITEOUT) :]), fresh, itself=True)
            return
        inside = self._inside(path)
        if inside is None:
            return
        if not inside:  # the model's own folder
            if not info.isdir():
                raise ModelError(f"{self.where}: /{self.prefix} is no folder")
            return
        fresh.add(inside)
        if info.isdir():
            _make_folder(self.place_folder(inside))
        elif info.isfile():
            self._write(tar, info, inside)
        elif info.issym():
            self.place(inside).symlink_to(self._link(path, info.linkname))
        elif info.islnk():
            self._copy(inside, _clean(info.linkname, self.where))
        else:
            raise UnsafeModelError(f"{self.where}: {info.name!r} is a device or a pipe, which no model needs")

    def place_folder(self, path: str) -> Path:
        """Where a folder goes; one that is there stays."""
        target = self.into / path
        if target.is_dir() and not target.is_symlink():
            parents = list(PurePosixPath(path).parents)[:-1]
            if not any((self.into / parent).is_symlink() for parent in parents):
                return target
        return self.place(path)

    def _write(self, tar: tarfile.TarFile, info: tarfile.TarInfo, path: str) -> None:
        source = tar.extractfile(info)
        assert source is not None
        target = self.place(path)
        with target.open("xb") as file:
            for chunk in chunks(source):
                file.write(chunk)
        target.chmod(0o755 if info.mode & 0o100 else 0o644)

    def _copy(self, path: str, source: str) -> None:
        inside = self._inside(source)
        found = self.into / inside if inside else None
        if (
            found is None
            or any(each.is_symlink() for each in (found, *found.parents) if self.into in each.parents)
            or not found.is_file()
        ):
            raise UnsafeModelError(
                f"{self.where}: {path} is a link to {source!r}, which is outside the model"
            )
        if inside != path:
            shutil.copyfile(found, self.place(path))

    def _link(self, path: str, target: str) -> str:
        """The link as it is written: what is absolute in the image becomes relative."""
        if not target.startswith("/"):
            return target
        return posixpath.relpath(target.lstrip("/") or ".", posixpath.dirname(path) or ".")

    def _inside(self, path: str) -> str | None:
        """The path below the prefix; "" for the prefix itself, None for what is elsewhere."""
        if not self.prefix:
            return path
        if path == self.prefix:
            return ""
        return path[len(self.prefix) + 1 :] if path.startswith(f"{self.prefix}/") else None

    def _hide(self, path: str, fresh: set[str], *, itself: bool) -> None:
        """Take away what older layers had at a path."""
        inside = self._inside(path) if path else None
        above = not path or self.prefix.startswith(f"{path}/")
        if inside is None and not above:
            return
        root = self.into / inside if inside else self.into
        if any(each.is_symlink() for each in root.parents if self.into in each.parents):
            return
        if root != self.into and (root.is_symlink() or not root.is_dir()):
            if itself and inside not in fresh:
                _remove(root)
            return
        for found in sorted(root.rglob("*"), reverse=True):  # what is in a folder before the folder
            if str(found.relative_to(self.into)) in fresh:
                continue
            if found.is_dir() and not found.is_symlink():
                if not any(found.iterdir()):
                    found.rmdir()
            else:
                found.unlink()
        if itself and root != self.into and inside not in fresh and not any(root.iterdir()):
            root.rmdir()


def _decompressed(raw: IO[bytes], where: str) -> IO[bytes]:
    start = raw.read(4)
    raw.seek(0)
    if start[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=raw)  # pyright: ignore[reportReturnType]
    if start == b"\x28\xb5\x2f\xfd":
        raise ModelError(f"{where} has layers in zstd, which are not read: push it with gzip")
    return io.BufferedReader(raw)  # pyright: ignore[reportArgumentType]


def _clean(path: str, where: str) -> str:
    """A path without leading slashes and dots. Raises UnsafeModelError for one that goes upwards."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in path or "\\" in path:
        raise UnsafeModelError(f"{where}: {path!r} leads out of the model's folder")
    return "/".join(parts)


def _make_folder(path: Path) -> None:
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        path.unlink()
    path.mkdir(exist_ok=True)


def _remove(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    remove: Callable[[Path], None] = shutil.rmtree if stat.S_ISDIR(mode) else Path.unlink
    remove(path)
