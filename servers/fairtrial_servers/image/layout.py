"""An image on disk: a folder, or a .tar of one, by the OCI image layout specification."""

from __future__ import annotations

import contextlib
import os
import tarfile
import tempfile
from collections.abc import Generator, Iterable
from pathlib import Path

from fairtrial_servers.errors import ModelError, ServerError
from fairtrial_servers.image.blobs import Blobs, chunks
from fairtrial_servers.image.oci import INDEX, Descriptor, descriptors, document, encode

_MARK = "oci-layout"
_MARK_TEXT = b'{"imageLayoutVersion":"1.0.0"}'
_INDEX = "index.json"


def is_layout(path: Path) -> bool:
    return (path / _MARK).is_file()


def check_target(target: Path) -> None:
    """Raise ServerError for a place where writing an image would destroy something else."""
    if target.suffix == ".tar":
        if target.is_dir():
            raise ServerError(f"{target} is a folder: name another file, or leave out .tar")
    elif target.exists() and not is_layout(target) and (not target.is_dir() or any(target.iterdir())):
        raise ServerError(f"{target} is there already and is no OCI image layout: name another folder")


def write_layout(target: Path, root: Descriptor, blobs: Iterable[tuple[Descriptor, Path]], name: str) -> None:
    """Write an image to `target`, in place of one that is there; `name` is what tools call it.

    `root` is its manifest or index. A reader finds the old image or the new one, never half of one.
    """
    check_target(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".tar":
            with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
                _fill(Path(folder), root, blobs, name)
                _write_tar(Path(folder), target)
        else:
            _fill(target, root, blobs, name)
    except OSError as error:
        raise ServerError(f"cannot write to {target}: {error.strerror or error}") from error


def _fill(folder: Path, root: Descriptor, blobs: Iterable[tuple[Descriptor, Path]], name: str) -> None:
    folder.mkdir(exist_ok=True)
    kept = Blobs(folder)
    wanted: list[str] = []
    for blob, source in blobs:
        wanted.append(blob.digest)
        if not kept.has(blob):
            kept.adopt(blob, source)
    entry = root.as_json()
    entry["annotations"] = {**entry.get("annotations", {}), "org.opencontainers.image.ref.name": name}
    _replace(folder / _MARK, _MARK_TEXT)
    _replace(folder / _INDEX, encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}))
    kept.keep_only(wanted)


def _replace(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _write_tar(folder: Path, target: Path) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for path in sorted(folder.rglob("*")):
                    info = tarfile.TarInfo(path.relative_to(folder).as_posix())
                    if path.is_dir():
                        info.type, info.mode = tarfile.DIRTYPE, 0o755
                        tar.addfile(info)
                        continue
                    info.size = path.stat().st_size
                    with path.open("rb") as content:
                        tar.addfile(info, content)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def opened(path: Path) -> Generator[tuple[Blobs, list[Descriptor]]]:
    """The blobs of a layout, and the images that its index lists. Raises ModelError."""
    if path.is_dir():
        yield _open(path)
        return
    with tempfile.TemporaryDirectory(prefix="fairtrial-layout-") as folder:
        try:
            with tarfile.open(path) as tar:
                for info in tar:
                    name = info.name.removeprefix("./")
                    parts = name.split("/")
                    if info.isfile() and (name in (_MARK, _INDEX) or parts[:2] == ["blobs", "sha256"]):
                        source = tar.extractfile(info)
                        if source is None or len(parts) > 3:
                            continue
                        into = Path(folder, *parts)
                        into.parent.mkdir(parents=True, exist_ok=True)
                        with into.open("wb") as file:
                            for chunk in chunks(source):
                                file.write(chunk)
        except (OSError, tarfile.TarError, EOFError) as error:
            raise ModelError(f"cannot read {path} as an image layout: {error}") from None
        yield _open(Path(folder), path)


def _open(folder: Path, shown: Path | None = None) -> tuple[Blobs, list[Descriptor]]:
    shown = shown or folder
    if not is_layout(folder):
        raise ModelError(f"{shown} is no OCI image layout: it has no file {_MARK}")
    try:
        data = (folder / _INDEX).read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {shown / _INDEX}: {error.strerror}") from error
    return Blobs(folder), descriptors(document(data, str(shown / _INDEX)), "manifests", str(shown / _INDEX))
