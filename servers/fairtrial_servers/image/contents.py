"""What goes into an image, and where it is there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path, PurePosixPath

import fairtrial_servers
from fairtrial_servers.errors import ModelError, ServerError
from fairtrial_servers.image.layers import Entry, files_under

DEPENDENCIES = "opt/fairtrial/dependencies"
SERVER = "opt/fairtrial/server"
#: KServe reads models from images in this folder ("modelcar").
MODELS = "models"
LOCK = "opt/fairtrial/requirements.txt"

#: Of an installed folder: the installer's locks, compiled files (they hold times), commands nobody calls.
_LEFT_OUT = (".lock", "__pycache__", "bin")


def dependency_entries(installed: Path, locked: str) -> list[Entry]:
    """The packages that were installed to a folder, and the list that they were installed by."""
    kept = [
        entry
        for entry in files_under(installed, DEPENDENCIES)
        if (parts := PurePosixPath(entry.path).relative_to(DEPENDENCIES).parts)[0] not in _LEFT_OUT
        and "__pycache__" not in parts
    ]
    return [*kept, Entry(LOCK, locked.encode())]


def server_entries() -> list[Entry]:
    """fairtrial_servers itself, as it runs here."""
    package = Path(fairtrial_servers.__file__).parent
    found = [
        entry
        for entry in files_under(package, f"{SERVER}/{package.name}")
        if "/__pycache__/" not in entry.path and not entry.path.endswith(".pyc")
    ]
    about = metadata.distribution("fairtrial-servers")
    # So that tools that look for what is installed find it.
    info = f"{SERVER}/fairtrial_servers-{about.version}.dist-info"
    return [*found, Entry(f"{info}/METADATA", (about.read_text("METADATA") or "").encode())]


def model_entries(model: Path) -> list[Entry]:
    """The model's files; with a single file the signature beside it. Raises ModelError, UnsafeModelError."""
    if model.is_dir():
        found = list(files_under(model, MODELS))
        if not found:
            raise ModelError(f"there is no model at {model}: an empty folder")
        return found
    files = [model, *(each for each in (model.with_name(f"{model.name}.sig"),) if each.is_file())]
    return [Entry(f"{MODELS}/{file.name}", file) for file in files]


def place_of(model: Path) -> str:
    """Where the model is in the image."""
    return f"/{MODELS}" if model.is_dir() else f"/{MODELS}/{model.name}"


def included_entries(included: Sequence[tuple[Path, str]]) -> Iterator[Entry]:
    """Files and folders that the user or a runtime adds, each with its absolute place in the image."""
    for source, place in included:
        at = PurePosixPath(place)
        if not at.is_absolute() or ".." in at.parts or at == PurePosixPath("/"):
            raise ServerError(f"cannot put {source} at {place!r}: expected an absolute path in the image")
        path = str(at).lstrip("/")
        if source.is_dir():
            yield from files_under(source, path)
        elif source.is_file():
            yield Entry(path, source, executable=bool(source.stat().st_mode & 0o100))
        else:
            raise ServerError(f"there is no {source} to put into the image")


def digest_of(entries: Sequence[Entry]) -> str:
    """One digest of all files with their names: the same files have the same one, whatever holds them."""
    told = hashlib.sha256()
    for entry in sorted(entries, key=lambda each: each.path):
        if isinstance(entry.content, bytes):
            inside = hashlib.sha256(entry.content)
        else:
            with entry.content.open("rb") as file:
                inside = hashlib.file_digest(file, "sha256")
        told.update(f"{entry.path}\0{inside.hexdigest()}\0{int(entry.executable)}\n".encode())
    return f"sha256:{told.hexdigest()}"
