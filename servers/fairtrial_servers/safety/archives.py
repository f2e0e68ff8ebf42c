"""Zip archives that hold a model: opened only where every reader sees the same files in them.

Readers differ in what they make of an odd archive: one adds up offsets where data stands before the first
entry, one takes the first of two entries by a name, one compares names without regard to case. What was
checked must be what is loaded, so an archive with room for such differences is refused.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.safety.pickles import MAX_UNCOMPRESSED

_END = b"PK\x05\x06"
_END_SIZE = 22
_LOCAL = b"PK\x03\x04"


@contextmanager
def open_archive(file: Path | bytes, where: str | None = None) -> Generator[zipfile.ZipFile]:
    """The zip archive `file`, or the one that these bytes are, for reading; `where` names it in messages.

    Raises ModelError for what is no archive or is damaged, also while it is read, UnsafeModelError for one
    that unfolds to too much, names a place outside itself, or can be read in two ways.
    """
    where = where or str(file)
    try:
        with (
            io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as raw,
            zipfile.ZipFile(raw) as archive,
        ):
            _check(archive, raw, where)
            yield archive
    except ModelError:
        raise
    except (zipfile.BadZipFile, NotImplementedError, EOFError, struct.error, ValueError, RuntimeError) as bad:
        reason = str(bad).splitlines()[0] if str(bad) else type(bad).__name__
        raise ModelError(
            f"{where} is damaged, or not the zip archive that its format asks for: {reason}"
        ) from bad
    except OSError as error:
        raise ModelError(f"cannot read {where}: {error.strerror or error}") from error


def _check(archive: zipfile.ZipFile, raw: IO[bytes], where: str) -> None:
    entries = archive.infolist()
    size = sum(entry.file_size for entry in entries)
    if size > max(MAX_UNCOMPRESSED, raw.seek(0, 2)):
        raise UnsafeModelError(f"{where} holds more than {MAX_UNCOMPRESSED / 2**30:.1f} GiB: not loaded")
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name:
            raise UnsafeModelError(f"{where} has an entry {name!r}, which is a place outside the archive")
        if (entry.external_attr >> 28) == 0o12:
            raise UnsafeModelError(f"{where} has an entry {name!r}, which is a link")
        if name.casefold() in seen:
            raise UnsafeModelError(f"{where} has two entries {name!r}: which one is meant is not known")
        seen.add(name.casefold())
    _check_ends(archive, raw, where)


def _check_ends(archive: zipfile.ZipFile, raw: IO[bytes], where: str) -> None:
    """Nothing before the first entry, nothing after the directory."""
    raw.seek(0)
    head = raw.read(4)
    raw.seek(-_END_SIZE, 2)
    end = raw.read()
    entries, directory = struct.unpack("<H", end[10:12])[0], struct.unpack("<I", end[16:20])[0]
    starts_here = directory in (archive.start_dir, 0xFFFFFFFF) and not min(
        (entry.header_offset for entry in archive.infolist()), default=1
    )
    all_here = entries in (len(archive.infolist()), 0xFFFF)
    if not (head == _LOCAL and end[:4] == _END and end[20:] == b"\0\0" and starts_here and all_here):
        raise UnsafeModelError(
            f"{where} has data before or after its entries, which readers take differently"
        )
