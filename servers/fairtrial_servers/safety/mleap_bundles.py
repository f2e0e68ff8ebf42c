"""What an MLeap bundle may be, checked before the Java VM sees it: a tree of files of a bounded size.

A bundle holds JSON or protobuf and no code. Its zip could write outside the folder that it is unpacked to, or
unpack to more than the machine holds. So it is unpacked here, within limits, and MLeap reads the folder.
"""

from __future__ import annotations

import contextlib
import json
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.formats import MLEAP_BUNDLE

#: Bytes that a bundle may unpack to, and files that it may have.
MOST_BYTES, MOST_FILES = 4 << 30, 100_000
#: How much smaller than its content a zip may be; JSON of large forests gets to about 30.
MOST_RATIO, _SMALL = 200, 64 << 20

_CHUNK = 1 << 20


@contextlib.contextmanager
def checked_bundle(path: Path) -> Generator[Path]:
    """The folder of the bundle at `path`, a zip or a folder; what was unpacked is gone afterwards.

    Raises UnsafeModelError for what reaches outside or unpacks to too much, ModelError for what is no bundle.
    """
    if path.is_dir():
        _check_folder(path)
        _check_description(path, path)
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="fairtrial-mleap-") as temporary:
        _unpack(path, Path(temporary))
        _check_description(Path(temporary), path)
        yield Path(temporary)


def _check_folder(folder: Path) -> None:
    total = 0
    for count, entry in enumerate(folder.rglob("*")):
        if entry.is_symlink() and not entry.resolve().is_relative_to(folder.resolve()):
            raise UnsafeModelError(f"{entry} is a link to outside of the bundle's folder")
        if not (entry.is_dir() or entry.is_file()):
            raise UnsafeModelError(f"{entry} is neither a file nor a folder")
        total += entry.stat().st_size
        _check_size(folder, total, count + 1)


def _unpack(file: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            for member in _checked_members(archive, file):
                target = folder.joinpath(*PurePosixPath(member.filename).parts)
                if member.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("xb") as out:
                    _copy(source, out, member, file)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ModelError(f"{file} is damaged, or no zip: {error}") from None
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise UnsafeModelError(f"{file} holds two files of one name") from None
    except OSError as error:
        raise ModelError(f"cannot unpack {file} to {folder}: {error.strerror}") from error


def _checked_members(archive: zipfile.ZipFile, file: Path) -> Iterator[zipfile.ZipInfo]:
    members = archive.infolist()
    total = sum(member.file_size for member in members)
    _check_size(file, total, len(members))
    if total > max(_SMALL, MOST_RATIO * file.stat().st_size):
        raise UnsafeModelError(
            f"{file} would unpack to {total:,} bytes, over {MOST_RATIO} times its own size: no model does"
        )
    for member in members:
        name = member.filename
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts or "\\" in name or ":" in parts[0]:
            raise UnsafeModelError(f"{file} would write {name!r}, which is outside of its own folder")
        mode = member.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UnsafeModelError(f"{file}: {name!r} is neither a file nor a folder")
        if member.flag_bits & 1:
            raise ModelError(f"{file} is encrypted: MLeap has no password for it")
        yield member


def _check_size(path: Path, total: int, count: int) -> None:
    if total > MOST_BYTES or count > MOST_FILES:
        raise UnsafeModelError(
            f"{path} has {count:,} files of {total:,} bytes in all: at most {MOST_FILES:,} files "
            f"and {MOST_BYTES:,} bytes are unpacked"
        )


def _copy(source: IO[bytes], out: IO[bytes], member: zipfile.ZipInfo, file: Path) -> None:
    left = member.file_size
    while chunk := source.read(_CHUNK):
        left -= len(chunk)
        if left < 0:
            raise UnsafeModelError(f"{file}: {member.filename!r} is larger than the zip says")
        out.write(chunk)


def _check_description(folder: Path, named: Path) -> None:
    """`named` is what the user calls the bundle that lies unpacked in `folder`."""
    description = folder / MLEAP_BUNDLE
    if not description.is_file():
        raise ModelError(f"{named} is no MLeap bundle: there is no {MLEAP_BUNDLE} at its top")
    try:
        said = json.loads(description.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{named}: {MLEAP_BUNDLE} is damaged: {error}") from None
    if not isinstance(said, dict) or not {"name", "format", "version"} <= said.keys():
        raise ModelError(f"{named}: {MLEAP_BUNDLE} does not describe a bundle (name, format, version)")
    if not (folder / "root").is_dir():
        raise ModelError(f"{named} is damaged: it has a {MLEAP_BUNDLE}, but no folder root with the model")
