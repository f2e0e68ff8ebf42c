"""`fairtrial pack`: an image with the runtime, its dependencies and one model, without a container engine.

Layers, from what changes least to what changes most: the base's own, the Python packages, fairtrial_servers,
files that were asked for, the model. A new version of a model is one new layer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fairtrial_servers.errors import ModelError, ServerError
from fairtrial_servers.formats import FORMATS, MLMODEL, Format, detect
from fairtrial_servers.image import dependencies
from fairtrial_servers.image.base import default_base, take_base
from fairtrial_servers.image.blobs import Blobs
from fairtrial_servers.image.cache import LayerCache, default_cache
from fairtrial_servers.image.checking import check_model
from fairtrial_servers.image.config import ModelFacts, image_config, image_notes, manifest
from fairtrial_servers.image.contents import (
    dependency_entries,
    digest_of,
    included_entries,
    model_entries,
    place_of,
    server_entries,
)
from fairtrial_servers.image.layers import Entry, Layer, write_layer
from fairtrial_servers.image.oci import CONFIG, INDEX, LAYER_HOLDS, MANIFEST, MODEL_DIGEST, MODEL_NAME, encode
from fairtrial_servers.image.packed import Packed
from fairtrial_servers.image.platforms import Platform, own_platform
from fairtrial_servers.image.progress import Progress, megabytes, silent
from fairtrial_servers.launch import resolve
from fairtrial_servers.mlflow import read_mlmodel

#: Counted up when the way a layer is written changes, so that no older one is taken from the cache.
_LAYERS_VERSION = 1


@dataclass(frozen=True)
class Request:
    """What an image is to be. Only the model has no default."""

    model: Path
    name: str = ""  # of the model; by default that of its file or folder
    base: str = ""  # a layout, or an image reference; by default the official image of this Python
    platforms: tuple[Platform, ...] = field(default_factory=lambda: (own_platform(),))
    python: str | None = None  # the base's; seen from the base by default
    implementation: str = ""  # by default the runtime of the model's format
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    extra_requirements: tuple[str, ...] = ()
    lock: Path | None = None  # the packages to install, in place of those that run here
    include: tuple[tuple[Path, str], ...] = ()  # files and folders, and their places in the image
    insecure: bool = False


@dataclass(frozen=True)
class _Making:
    """One packing: what was asked for, and where things go."""

    request: Request
    format: Format | None
    facts: ModelFacts
    work: Blobs
    cache: LayerCache
    progress: Progress


def pack(request: Request, work: Path, *, cache: Path | None = None, progress: Progress = silent) -> Packed:
    """Make the image. What is of this model is written to `work`, what others share to the cache.

    Raises ServerError, ModelError, UnsafeModelError.
    """
    model = request.model
    found = _format(request)
    implementation = resolve(request.implementation) if request.implementation else ""
    implementation = implementation or (found.implementation if found else "")
    progress(f"checking {model}")
    check_model(model, implementation, request.parameters)
    entries = model_entries(model)
    facts = ModelFacts(
        name=request.name or model.absolute().stem,
        format=found.name if found else "",
        digest=digest_of(entries),
        place=place_of(model),
        implementation=implementation,
        parameters=request.parameters,
    )
    making = _Making(request, found, facts, Blobs(work), LayerCache(cache or default_cache()), progress)
    making.cache.tidy()
    server = server_entries()
    ours = [_cached(making, "server", digest_of(server), lambda: server)]
    if request.include:
        ours.append(_layer(making, "files", list(included_entries(request.include))))
    ours.append(_layer(making, "model", entries))
    images = [_image(making, target, ours) for target in request.platforms]
    packed = images[0] if len(images) == 1 else _index(making, images)
    progress(f"packed {facts.name}: {megabytes(packed.size)}, {packed.root.digest}")
    return packed


def _format(request: Request) -> Format | None:
    if not request.model.exists():
        raise ModelError(f"there is no model at {request.model}: neither a file nor a folder")
    named = request.implementation
    if not named:
        return detect(request.model)
    return next((each for each in FORMATS if named in (each.implementation, *each.servers)), None)


def _image(making: _Making, target: Platform, ours: Sequence[Layer]) -> Packed:
    request, work, cache = making.request, making.work, making.cache
    named = request.base or default_base()
    making.progress(f"taking {named} as the base")
    base = take_base(
        named, target, cache.blobs, making.progress, python=request.python, insecure=request.insecure
    )
    layers = [*base.layers, _packages(making, target, base.python), *ours]
    for layer in layers:
        cache.touch(layer.descriptor)
    config = work.add(encode(image_config(making.facts, base, layers[len(base.layers) :], target)), CONFIG)
    blobs = [layer.descriptor for layer in layers]
    notes = image_notes(making.facts, base)
    root = work.add(encode(manifest(config, blobs, notes)), MANIFEST)
    return Packed(
        root=replace(root, platform=target.as_json()),
        sources=(work, cache.blobs),
        manifests=[root],
        blobs=[*blobs, config],
        mount_from={layer.descriptor.digest: base.mount_from for layer in base.layers if base.mount_from},
    )


def _index(making: _Making, images: Sequence[Packed]) -> Packed:
    """One name for the images of several platforms."""
    said = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [image.root.as_json() for image in images],
        "annotations": {MODEL_NAME: making.facts.name, MODEL_DIGEST: making.facts.digest},
    }
    root = making.work.add(encode(said), INDEX)
    return Packed(
        root=root,
        sources=images[0].sources,
        manifests=[*(image.manifests[0] for image in images), root],
        blobs=list({blob.digest: blob for image in images for blob in image.blobs}.values()),
        mount_from={digest: name for image in images for digest, name in image.mount_from.items()},
    )


def _packages(making: _Making, target: Platform, python: str) -> Layer:
    """The layer of Python packages, from the cache where the same ones were installed before."""
    request = making.request
    with tempfile.TemporaryDirectory(prefix="fairtrial-pack-") as name:
        folder = Path(name)
        if request.lock is not None:
            locked = _read_lock(request.lock)
        else:
            wanted = dependencies.requirements(_extras(making.format, request.model), target, python)
            wanted += request.extra_requirements

            def chosen() -> str:
                making.progress(f"choosing Python packages for {target.name}, Python {python}")
                return dependencies.lock(wanted, target, python, folder)

            locked = making.cache.text(
                "\n".join((target.name, python, *wanted, *dependencies.pins())), chosen
            )

        def installed() -> list[Entry]:
            making.progress(f"installing {locked.count('==')} Python packages for {target.name}")
            into = folder / "installed"
            dependencies.install(locked, target, python, into, folder)
            return dependency_entries(into, locked)

        return _cached(making, "dependencies", f"{target.name} {python}\n{locked}", installed)


def _extras(found: Format | None, model: Path) -> list[str]:
    """The extras of fairtrial-servers that the runtime of a model needs."""
    names = [found.name] if found is not None else []
    if found is not None and (model / MLMODEL).is_file():
        names += read_mlmodel(model)["flavors"]  # served by the runtime of what is inside
    return [name for name in names if dependencies.has_extra(name)]


def _read_lock(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ServerError(f"cannot read {file}: {getattr(error, 'strerror', '') or 'not a text'}") from None


def _cached(making: _Making, holds: str, key: str, entries: Callable[[], list[Entry]]) -> Layer:
    notes = {LAYER_HOLDS: holds}
    key = f"{_LAYERS_VERSION} {holds} {key}"
    layer = making.cache.find(key, notes)
    if layer is None:
        found = entries()
        making.progress(f"writing the layer of {holds}: {len(found)} files")
        layer = write_layer(making.cache.blobs, found, notes)
        making.cache.keep(key, layer)
    return layer


def _layer(making: _Making, holds: str, entries: list[Entry]) -> Layer:
    making.progress(f"writing the layer of {holds}: {len(entries)} files")
    return write_layer(making.work, entries, {LAYER_HOLDS: holds})
