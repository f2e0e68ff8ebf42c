"""Archives of a model's folder: what was fetched as .tar, .tar.gz or .zip is unpacked, within limits.

A .zip with a bundle.json at its top is a Spark model as MLeap writes it, and stays as it is.
"""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.store.manifest import FileRecord, Manifest
from fairtrial_servers.store.receiving import CHUNK, Receiver

_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_MLEAP = "bundle.json"


def unpacked(folder: Path, manifest: Manifest, what: str, most_bytes: int) -> Manifest:
    """The manifest of what is in `folder`, once the archive that is its one file has been unpacked there.

    A folder that holds all the rest is left out, as in `tar czf wine.tar.gz wine/`. Any other file stays.
    Raises ModelError for a damaged archive or one with too much in it, UnsafeModelError for one with links
    or with files that lead elsewhere.
    """
    name = manifest.files[0].path
    archive = folder / name
    if name.lower().endswith(_TAR):
        members = _of_tar(archive, what)
    elif name.lower().endswith(".zip") and not _is_mleap(archive):
        members = _of_zip(archive, what)
    else:
        return manifest
    inside = folder.with_name("unpacked")
    inside.mkdir(mode=0o700)
    receiver = Receiver(inside, what, most_bytes, lambda _done, _total: None)
    try:
        for path, size, content in members:
            with receiver.file(path, size) as sink:
                while chunk := content.read(CHUNK):
                    sink.write(chunk)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError,
            NotImplementedError) as error:  # fmt: skip
        raise ModelError(f"{what} is a damaged archive: {error}") from None
    if not receiver.files:
        raise ModelError(f"{what} is an archive with nothing in it")
    return _put_in_place(folder, inside, receiver.files)


def _put_in_place(folder: Path, inside: Path, files: list[FileRecord]) -> Manifest:
    tops = {file.path.split("/")[0] for file in files}
    lone = len(files) == 1
    shutil.rmtree(folder)
    if lone:
        only = inside / files[0].path
        folder.mkdir(mode=0o700)
        only.rename(folder / only.name)
        shutil.rmtree(inside)
        return Manifest.of([FileRecord(only.name, files[0].size, files[0].sha256)], lone=True)
    if len(tops) > 1:
        inside.rename(folder)
        return Manifest.of(files, lone=False)
    top = tops.pop()
    (inside / top).rename(folder)
    shutil.rmtree(inside)
    cut = len(top) + 1
    return Manifest.of((FileRecord(f.path[cut:], f.size, f.sha256) for f in files), lone=False)


def _of_tar(archive: Path, what: str) -> Iterator[tuple[str, int, IO[bytes]]]:
    with tarfile.open(archive, "r|*") as tar:
        for member in tar:
            if member.isdir():
                continue
            content = tar.extractfile(member) if member.isreg() else None
            if content is None:
                raise UnsafeModelError(
                    f"{what} holds a link or a device, {member.name!r}: it is not unpacked"
                )
            yield member.name.removeprefix("./"), member.size, content


def _of_zip(archive: Path, what: str) -> Iterator[tuple[str, int, IO[bytes]]]:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            if member.is_dir():
                continue
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise UnsafeModelError(
                    f"{what} holds a link or a device, {member.filename!r}: it is not unpacked"
                )
            with opened.open(member) as content:
                yield member.filename, member.file_size, content


def _is_mleap(archive: Path) -> bool:
    try:
        with zipfile.ZipFile(archive) as opened:
            return _MLEAP in opened.namelist()
    except zipfile.BadZipFile:
        return False
