"""Models in registries: `oci://REGISTRY/NAME[:TAG][@sha256:...][#/path/in/the/image]`.

Understood are images that `fairtrial pack` made (of which only the model's layer is fetched), its artifacts
and those of `oras push`, ModelKits and ModelPacks, and any image with a model in `/models` or at the path
that the address names. Every blob is checked against its digest before anything reads it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairtrial_servers.errors import ModelError
from fairtrial_servers.image.authentication import RegistryError
from fairtrial_servers.image.blobs import Blobs
from fairtrial_servers.image.manifests import choose
from fairtrial_servers.image.oci import (
    LAYER_HOLDS,
    TITLE,
    Descriptor,
    descriptor,
    descriptors,
    document,
)
from fairtrial_servers.image.platforms import own_platform
from fairtrial_servers.image.progress import Progress, megabytes, silent
from fairtrial_servers.image.reference import Reference, parse
from fairtrial_servers.image.registry import Registry
from fairtrial_servers.image.unpack import Unpacking
from fairtrial_servers.store.interface import Received
from fairtrial_servers.store.receiving import CHUNK, Receiver

_MODELS = "models"
_UNPACK = "io.deis.oras.content.unpack"  # oras: the blob is a tar of the folder in the title
_KIT = "application/vnd.kitops.modelkit."
_PACK = "application/vnd.cncf.model."
_PACK_PATH = "org.cncf.model.filepath"
_CONFIGS = ("application/vnd.oci.image.config.", "application/vnd.docker.container.image.")


@dataclass(frozen=True)
class Address:
    reference: Reference
    path: str  # in the image, without a leading slash; "" where none is said

    @property
    def insecure(self) -> bool:
        """Whether the operator of this machine allows plain http to the registry."""
        allowed = os.environ.get("FAIRTRIAL_INSECURE_REGISTRIES", "").split(",")
        return self.reference.registry in [each.strip() for each in allowed]


def read_address(uri: str) -> Address:
    """Raises ServerError, ModelError."""
    rest, _, path = uri.partition("://")[2].partition("#")
    inside = path.strip("/")
    if ".." in inside.split("/"):
        raise ModelError(f"{uri}: the path in the image must not lead upwards")
    return Address(parse(rest), inside)


def resolve(uri: str) -> str:
    """The digest of what the address names now. The same digest is the same model, for good."""
    address = read_address(uri)
    with Registry(address.reference, insecure=address.insecure) as registry:
        return _root(registry)[0].digest


def download(uri: str, into: Path, progress: Progress = silent) -> None:
    """Write the model's files to `into`, an empty folder; what is there after an error is of no use.

    Raises ModelError (RegistryError among them), UnsafeModelError, ServerError.
    """
    address = read_address(uri)
    into.mkdir(parents=True, exist_ok=True)
    with (
        Registry(address.reference, insecure=address.insecure) as registry,
        tempfile.TemporaryDirectory(prefix=".fairtrial-oci-", dir=into.parent) as scratch,
    ):
        _Download(registry, Blobs(Path(scratch)), into, address, progress).run()


class OciStore:
    """Implements `store.interface.Store`."""

    def identity(self, uri: str) -> str:
        return uri

    def is_fixed(self, uri: str) -> bool:
        return bool(read_address(uri).reference.digest)

    def download(self, uri: str, known: str | None, receiver: Receiver) -> Received:
        digest = resolve(uri)
        if digest == known:
            return Received(digest, changed=False)
        address = read_address(uri)
        fixed = f"oci://{address.reference.registry}/{address.reference.name}@{digest}#{address.path}"
        with tempfile.TemporaryDirectory(dir=receiver.folder.parent, prefix=".oci-") as scratch:
            fresh = Path(scratch) / "model"
            download(fixed, fresh)
            files = sorted(path for path in fresh.rglob("*") if path.is_file())
            receiver.expect(sum(path.stat().st_size for path in files), len(files))
            for path in files:  # links lead nowhere else: `Unpacking` has seen to it
                with (
                    receiver.file(path.relative_to(fresh).as_posix(), path.stat().st_size) as sink,
                    path.open("rb") as content,
                ):
                    while chunk := content.read(CHUNK):
                        sink.write(chunk)
        return Received(digest)


def _root(registry: Registry) -> tuple[Descriptor, bytes]:
    found = registry.manifest()
    if found is None:
        raise RegistryError(f"there is no {registry.reference}")
    return found


class _Download:
    def __init__(
        self, registry: Registry, blobs: Blobs, into: Path, address: Address, progress: Progress
    ) -> None:
        self._registry, self._blobs, self._progress = registry, blobs, progress
        self._path = address.path
        self._where = str(address.reference)
        self._into = into

    def run(self) -> None:
        root, data = _root(self._registry)
        kept = {root.digest: data}

        def read(blob: Descriptor) -> bytes:
            if blob.digest not in kept:
                found = self._registry.manifest(blob.digest)
                if found is None:
                    raise RegistryError(f"{self._where}: the registry lacks the manifest {blob.digest}")
                kept[blob.digest] = found[1]
            return kept[blob.digest]

        _, said = choose(root, read, own_platform(), self._where)
        layers = descriptors(said, "layers", self._where)
        config = descriptor(said.get("config"), self._where)
        kind = config.media_type
        ours = [each for each in layers if each.annotations.get(LAYER_HOLDS) == _MODELS.removesuffix("s")]
        if kind.startswith(_KIT):
            self._kit(layers, config)
        elif any(each.media_type.startswith(_PACK) for each in layers):
            self._modelpack(layers)
        elif not kind.startswith(_CONFIGS) and any(TITLE in each.annotations for each in layers):
            self._files(layers)
        else:
            self._image(layers if self._path or not ours else ours)

    def _image(self, layers: Sequence[Descriptor]) -> None:
        self._unpack(layers, self._path or _MODELS)

    def _files(self, layers: Sequence[Descriptor]) -> None:
        """As oras pushes them: a file each, or a tar of a folder."""
        unpacking = Unpacking(self._into, "", self._where)
        for layer in layers:
            title = layer.annotations.get(TITLE)
            if title is None:
                continue
            file = self._fetch(layer)
            if layer.annotations.get(_UNPACK) == "true":
                unpacking.layer(file)
                file.unlink()
            else:
                unpacking.file(title, file)
        unpacking.finish()
        self._narrow(self._path or _lone_folder(self._into))

    def _kit(self, layers: Sequence[Descriptor], config: Descriptor) -> None:
        """A ModelKit: tars by what is in them; its configuration says where the model is."""
        self._fetch(config)
        said: dict[str, Any] = document(self._blobs.read(config), self._where)
        wanted = (f"{_KIT}model.", f"{_KIT}modelpart.")
        self._unpack([each for each in layers if each.media_type.startswith(wanted)], "")
        model = said.get("model")
        path = model.get("path") if isinstance(model, dict) else None
        self._narrow(self._path or (path if isinstance(path, str) else "") or _lone_folder(self._into))

    def _modelpack(self, layers: Sequence[Descriptor]) -> None:
        """The CNCF's ModelPack: weights and their configuration, as tars or as they are."""
        unpacking = Unpacking(self._into, "", self._where)
        for layer in layers:
            if not layer.media_type.startswith(f"{_PACK}weight."):
                continue
            file = self._fetch(layer)
            if layer.media_type.endswith(".raw"):
                unpacking.file(layer.annotations.get(_PACK_PATH) or layer.annotations.get(TITLE, ""), file)
            else:
                unpacking.layer(file)
                file.unlink()
        unpacking.finish()
        self._narrow(self._path or _lone_folder(self._into))

    def _unpack(self, layers: Sequence[Descriptor], prefix: str) -> None:
        unpacking = Unpacking(self._into, prefix, self._where)
        for layer in layers:
            file = self._fetch(layer)
            unpacking.layer(file)
            file.unlink()
        unpacking.finish()

    def _fetch(self, blob: Descriptor) -> Path:
        self._progress(f"downloading {self._where}, {megabytes(blob.size)}")
        self._registry.download(blob, self._blobs)
        return self._blobs.path(blob.digest)

    def _narrow(self, path: str) -> None:
        """Leave only what is at a path, at the top."""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if not parts:
            return
        chosen = self._into.joinpath(*parts)
        inside = self._into.resolve()
        if ".." in parts or not chosen.exists() or not chosen.resolve().is_relative_to(inside):
            raise ModelError(f"{self._where} has nothing at {path}")
        with tempfile.TemporaryDirectory(dir=self._blobs.root) as scratch:
            moved = Path(scratch) / "chosen"
            chosen.resolve().rename(moved)
            for entry in self._into.iterdir():
                remove: Callable[[Path], None] = (
                    shutil.rmtree if entry.is_dir() and not entry.is_symlink() else Path.unlink
                )
                remove(entry)
            if moved.is_dir():
                for entry in list(moved.iterdir()):
                    entry.rename(self._into / entry.name)
            else:
                moved.rename(self._into / parts[-1])
        Unpacking(self._into, path, self._where).finish()  # links may have led to what is gone


def _lone_folder(folder: Path) -> str:
    """The name of the one folder that everything is in, or ""."""
    entries = list(folder.iterdir())
    return entries[0].name if len(entries) == 1 and entries[0].is_dir() else ""
