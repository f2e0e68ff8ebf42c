"""What a model consists of, and the digest that names it wherever it lies.

The digest of a file is its SHA-256, as `sha256sum` prints it. That of a folder is the SHA-256 of the lines
that `sha256sum` prints of its files, paths relative to the folder, sorted by path.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from fairtrial_servers.errors import ModelError


@dataclass(frozen=True)
class FileRecord:
    path: str  # relative to the model's folder, its parts separated by /
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The files of one model; `lone` when it is a file rather than a folder."""

    files: tuple[FileRecord, ...]
    lone: bool

    @property
    def digest(self) -> str:
        """ "sha256:" and 64 hexadecimal digits."""
        if self.lone:
            return f"sha256:{self.files[0].sha256}"
        lines = "".join(f"{file.sha256}  {file.path}\n" for file in self.files)
        return f"sha256:{hashlib.sha256(lines.encode('utf-8', 'surrogateescape')).hexdigest()}"

    @property
    def key(self) -> str:
        """Names the entry of the cache: also the same content under another name is another model."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    def to_json(self) -> str:
        return json.dumps({"lone": self.lone, "files": [asdict(file) for file in self.files]}, indent=1)

    @staticmethod
    def of(files: Iterable[FileRecord], *, lone: bool) -> Manifest:
        return Manifest(tuple(sorted(files, key=lambda file: file.path)), lone)

    @staticmethod
    def from_json(text: str) -> Manifest:
        """Raises ValueError, KeyError or TypeError for what is no manifest."""
        said = json.loads(text)
        return Manifest(tuple(FileRecord(**file) for file in said["files"]), bool(said["lone"]))

    def damage(self, folder: Path) -> str | None:
        """The first file below `folder` that is not what it was, or None."""
        for file in self.files:
            path = folder / file.path
            try:
                if path.is_symlink() or path.stat().st_size != file.size or _sha256(path) != file.sha256:
                    return file.path
            except OSError:
                return file.path
        known = {file.path for file in self.files}
        return next((name for name in _names_below(folder) if name not in known), None)


def manifest_of(path: Path) -> Manifest:
    """Of a model on this machine, a file or a folder. Reads all of it. Raises ModelError."""
    try:
        if not path.is_dir():
            record = FileRecord(path.name, path.stat().st_size, _sha256(path))
            return Manifest.of([record], lone=True)
        return Manifest.of(
            (
                FileRecord(name, (path / name).stat().st_size, _sha256(path / name))
                for name in _names_below(path)
                if (path / name).is_file()
            ),
            lone=False,
        )
    except OSError as error:
        raise ModelError(f"cannot read the model at {path}: {error.strerror}") from error


def _names_below(folder: Path) -> list[str]:
    return sorted(
        (Path(root) / name).relative_to(folder).as_posix()
        for root, _, names in os.walk(folder)
        for name in names
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
