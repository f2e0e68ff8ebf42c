"""The words of the OCI image specification: media types, annotations, and descriptors of blobs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from fairtrial_servers.errors import ModelError

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"

#: What a registry is told that we read.
MANIFEST_TYPES = (MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX)
INDEX_TYPES = (INDEX, DOCKER_INDEX)

#: A bare model, without an image around it: one blob for each file.
MODEL_ARTIFACT = "application/vnd.fairtrial.model.v1"
MODEL_FILE = "application/vnd.fairtrial.model.file.v1"

TITLE = "org.opencontainers.image.title"
#: On a layer: what it holds (`dependencies`, `server`, `files`, `model`).
LAYER_HOLDS = "dev.fairtrial.layer"
MODEL_DIGEST = "dev.fairtrial.model.digest"
MODEL_FORMAT = "dev.fairtrial.model.format"
MODEL_NAME = "dev.fairtrial.model.name"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
#: Manifests and configurations are read into memory; registries take no larger ones either.
LARGEST_DOCUMENT = 4 * 1024 * 1024


@dataclass(frozen=True)
class Descriptor:
    """A blob: what it is, its digest (`sha256:<hex>`), its size in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    platform: Mapping[str, str] = field(default_factory=dict[str, str])
    artifact_type: str = ""

    def as_json(self) -> dict[str, Any]:
        said: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.artifact_type:
            said["artifactType"] = self.artifact_type
        if self.annotations:
            said["annotations"] = dict(sorted(self.annotations.items()))
        if self.platform:
            said["platform"] = dict(self.platform)
        return said


def descriptor(said: object, where: str) -> Descriptor:
    """What a manifest or an index says of a blob. Raises ModelError, which names `where`."""
    if not isinstance(said, dict):
        raise ModelError(f"{where} is damaged: a descriptor is no JSON object")
    entry = cast("dict[str, Any]", said)
    digest, size = entry.get("digest"), entry.get("size")
    if not is_digest(digest):
        raise ModelError(f"{where} names a blob by {digest!r}: expected sha256: and 64 hexadecimal digits")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ModelError(f"{where} is damaged: the blob {digest} has the size {size!r}")
    if entry.get("urls"):
        raise ModelError(f"{where} keeps the blob {digest} at another address, which is not followed")
    return Descriptor(
        media_type=str(entry.get("mediaType", "")),
        digest=str(digest),
        size=size,
        annotations=_texts(entry.get("annotations")),
        platform=_texts(entry.get("platform")),
        artifact_type=str(entry.get("artifactType") or ""),
    )


def is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def document(data: bytes, where: str) -> dict[str, Any]:
    """A manifest, an index or a configuration. Raises ModelError."""
    try:
        said = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{where} is damaged: {str(error).splitlines()[0]}") from None
    if not isinstance(said, dict):
        raise ModelError(f"{where} is damaged: it holds no JSON object")
    return cast("dict[str, Any]", said)


def descriptors(said: Mapping[str, Any], key: str, where: str) -> list[Descriptor]:
    """The list of descriptors at `key`. Raises ModelError."""
    listed = said.get(key)
    if not isinstance(listed, list):
        raise ModelError(f"{where} is damaged: it has no list of {key}")
    return [descriptor(each, where) for each in cast("list[object]", listed)]


def encode(said: Mapping[str, Any]) -> bytes:
    """JSON whose bytes depend on the content alone."""
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _texts(said: object) -> dict[str, str]:
    if not isinstance(said, dict):
        return {}
    return {str(key): value for key, value in cast("dict[Any, Any]", said).items() if isinstance(value, str)}
