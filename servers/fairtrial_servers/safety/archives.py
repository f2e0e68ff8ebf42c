"""Zip archives that hold a model: opened only where every reader sees the same files in them.

Readers differ in what they make of an odd archive: one adds up offsets where data stands before the first
entry, one takes the first of two entries by a name, one compares names without regard to case. What was
checked must be what is loaded, so an archive with room for such differences is refused.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.safety.pickles import MAX_UNCOMPRESSED

_END = b"PK\x05\x06"
_END_SIZE = 22
_LOCAL = b"PK\x03\x04"


@contextmanager
def open_archive(file: Path) -> Generator[zipfile.ZipFile]:
    """The zip archive `file`, for reading.

    Raises ModelError for what is no archive or is damaged, also while it is read, UnsafeModelError for one
    that unfolds to too much, names a place outside itself, or can be read in two ways.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            _check(archive, file)
            yield archive
    except ModelError:
        raise
    except (zipfile.BadZipFile, NotImplementedError, EOFError, struct.error, ValueError, RuntimeError) as bad:
        reason = str(bad).splitlines()[0] if str(bad) else type(bad).__name__
        raise ModelError(
            f"{file} is damaged, or not the zip archive that its format asks for: {reason}"
        ) from bad
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror or error}") from error


def _check(archive: zipfile.ZipFile, file: Path) -> None:
    entries = archive.infolist()
    size = sum(entry.file_size for entry in entries)
    if size > max(MAX_UNCOMPRESSED, file.stat().st_size):
        raise UnsafeModelError(f"{file} holds more than {MAX_UNCOMPRESSED / 2**30:.1f} GiB: not loaded")
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name:
            raise UnsafeModelError(f"{file} has an entry {name!r}, which is a place outside the archive")
        if (entry.external_attr >> 28) == 0o12:
            raise UnsafeModelError(f"{file} has an entry {name!r}, which is a link")
        if name.casefold() in seen:
            raise UnsafeModelError(f"{file} has two entries {name!r}: which one is meant is not known")
        seen.add(name.casefold())
    _check_ends(archive, file)


def _check_ends(archive: zipfile.ZipFile, file: Path) -> None:
    """Nothing before the first entry, nothing after the directory."""
    with file.open("rb") as raw:
        head = raw.read(4)
        raw.seek(-_END_SIZE, 2)
        end = raw.read()
    entries, directory = struct.unpack("<H", end[10:12])[0], struct.unpack("<I", end[16:20])[0]
    starts_here = directory in (archive.start_dir, 0xFFFFFFFF) and not min(
        (entry.header_offset for entry in archive.infolist()), default=1
    )
    all_here = entries in (len(archive.infolist()), 0xFFFF)
    if not (head == _LOCAL and end[:4] == _END and end[20:] == b"\0\0" and starts_here and all_here):
        raise UnsafeModelError(f"{file} has data before or after its entries, which readers take differently")
