"""The image that a packed image builds on: it brings Python and the C library."""

from __future__ import annotations

import re
import sys
import tarfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from fairtrial_servers.errors import ModelError, ServerError
from fairtrial_servers.image.blobs import Blobs
from fairtrial_servers.image.layers import Layer
from fairtrial_servers.image.layout import opened
from fairtrial_servers.image.manifests import choose
from fairtrial_servers.image.oci import (
    DOCKER_LAYER_GZIP,
    LAYER,
    LAYER_GZIP,
    LAYER_ZSTD,
    Descriptor,
    descriptor,
    descriptors,
    document,
)
from fairtrial_servers.image.platforms import Platform
from fairtrial_servers.image.progress import Progress, megabytes
from fairtrial_servers.image.reference import parse
from fairtrial_servers.image.registry import Registry

_PYTHON = re.compile(r"(?:\./)?(?:usr/local/|usr/|opt/[^/]+/)?bin/python(3\.\d+)")
_SUPPORTED = ("3.11", "3.12")
_OCI_NAME = {DOCKER_LAYER_GZIP: LAYER_GZIP}


@dataclass(frozen=True)
class Base:
    name: str  # as the user said it
    digest: str  # of its manifest
    mount_from: str  # REGISTRY/NAME where it came from one, else ""
    layers: tuple[Layer, ...]
    config: dict[str, Any]  # its whole configuration
    python: str  # 3.11


def default_base() -> str:
    """The official image of the Python that runs now."""
    return f"docker.io/library/python:{sys.version_info.major}.{sys.version_info.minor}-slim"


def take_base(
    named: str, wanted: Platform, into: Blobs, progress: Progress, *, python: str | None, insecure: bool
) -> Base:
    """Copy the blobs of the base to `into`. `named`: a layout's folder or .tar, or an image reference.

    Raises ServerError, ModelError.
    """
    mount_from = ""
    with _source(named, into, progress, insecure) as (root, read, bring):
        manifest, said = choose(root, read, wanted, named)
        raw = read(descriptor(said.get("config"), named))
        listed = descriptors(said, "layers", named)
        for layer in listed:
            if not into.has(layer):
                bring(layer)
    if not _is_local(named):
        reference = parse(named)
        mount_from = f"{reference.registry}/{reference.name}"
    config = document(raw, f"the configuration of {named}")
    if not wanted.fits(config):
        raise ModelError(
            f"{named} is made for {config.get('os')}/{config.get('architecture')}, not for {wanted.name}"
        )
    diff_ids = (config.get("rootfs") or {}).get("diff_ids")
    if not isinstance(diff_ids, list) or len(cast("list[Any]", diff_ids)) != len(listed):
        raise ModelError(f"{named} is damaged: its configuration and its manifest differ in layers")
    layers = tuple(
        Layer(
            Descriptor(_OCI_NAME.get(each.media_type, each.media_type), each.digest, each.size), str(diff_id)
        )
        for each, diff_id in zip(listed, cast("list[Any]", diff_ids), strict=True)
    )
    version = python or _python_of(config, layers, into)
    if version is None:
        raise ServerError(
            f"found no Python in {named}: say which one it has by --python, or take another base"
        )
    if version not in _SUPPORTED:
        raise ServerError(f"{named} has Python {version}; MLServer runs on {' and '.join(_SUPPORTED)}")
    return Base(named, manifest.digest, mount_from, layers, config, version)


_Reader = Callable[[Descriptor], bytes]


@contextmanager
def _source(
    named: str, into: Blobs, progress: Progress, insecure: bool
) -> Generator[tuple[Descriptor, _Reader, Callable[[Descriptor], None]]]:
    """The base's root, how its documents are read, and how a layer is brought to `into`."""
    if _is_local(named):
        with opened(Path(named)) as (blobs, listed):
            if len(listed) != 1:
                raise ModelError(f"{named} has {len(listed)} images: a base is a layout with one")
            yield listed[0], blobs.read, lambda blob: into.adopt(blob, blobs.path(blob.digest))
        return
    with Registry(parse(named), insecure=insecure) as registry:
        found = registry.manifest()
        if found is None:
            raise ModelError(f"there is no image {registry.reference}")
        root, data = found

        def read(blob: Descriptor) -> bytes:
            if blob.digest == root.digest:
                return data
            listed = registry.manifest(blob.digest) if "manifest" in blob.media_type else None
            if listed is not None:
                return listed[1]
            if not into.has(blob):
                registry.download(blob, into)
            return into.read(blob)

        def bring(blob: Descriptor) -> None:
            progress(f"downloading a layer of {named}, {megabytes(blob.size)}")
            registry.download(blob, into)

        yield root, read, bring


def _is_local(named: str) -> bool:
    return Path(named).exists() or named.startswith((".", "/")) or named.endswith(".tar")


def _python_of(config: dict[str, Any], layers: tuple[Layer, ...], blobs: Blobs) -> str | None:
    """What the official images say in their environment, or else the newest that is there as a file."""
    for variable in (config.get("config") or {}).get("Env") or []:
        if str(variable).startswith("PYTHON_VERSION="):
            return ".".join(str(variable).partition("=")[2].split(".")[:2])
    found: set[str] = set()
    for layer in layers:
        if layer.descriptor.media_type == LAYER_ZSTD:
            continue
        kind = "r:gz" if layer.descriptor.media_type != LAYER else "r:"
        try:
            with tarfile.open(blobs.path(layer.descriptor.digest), kind) as tar:  # pyright: ignore[reportArgumentType, reportCallIssue]
                found |= {match[1] for info in tar if (match := _PYTHON.fullmatch(info.name))}
        except (OSError, tarfile.TarError, EOFError) as error:
            raise ModelError(f"the base's layer {layer.descriptor.digest} cannot be read: {error}") from None
    return max(found, key=lambda version: int(version.partition(".")[2]), default=None)
