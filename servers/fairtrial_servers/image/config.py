"""The configuration and the manifest of an image."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from fairtrial_servers.errors import ServerError
from fairtrial_servers.image.base import Base
from fairtrial_servers.image.contents import DEPENDENCIES, SERVER
from fairtrial_servers.image.layers import Layer
from fairtrial_servers.image.oci import (
    CONFIG,
    LAYER_HOLDS,
    MANIFEST,
    MODEL_DIGEST,
    MODEL_FORMAT,
    MODEL_NAME,
    Descriptor,
)
from fairtrial_servers.image.platforms import Platform

#: The user that Seldon's operator runs containers as unless told otherwise (`defaultUserID`), so that an
#: image behaves the same with Docker and in the cluster. A number: Kubernetes' `runAsNonRoot` reads no
#: names. Any other user does as well, for the image's files are readable by all and written to by none.
USER = "8888:8888"

#: Ports, where the environment names no others: those that Seldon's operator gives to the first container.
HTTP_PORT, GRPC_PORT, METRICS_PORT = 9000, 9500, 6000


@dataclass(frozen=True)
class ModelFacts:
    """What the image says of its model."""

    name: str
    format: str  # "" where an implementation was named instead
    digest: str
    place: str  # the path in the image
    implementation: str
    parameters: Mapping[str, str]


def created() -> str:
    """The time of SOURCE_DATE_EPOCH, or of 1970: the time of packing would make every image another one."""
    said = os.environ.get("SOURCE_DATE_EPOCH", "0")
    try:
        moment = datetime.fromtimestamp(int(said), UTC)
    except (ValueError, OverflowError, OSError):
        raise ServerError(
            f"SOURCE_DATE_EPOCH is {said!r}: expected seconds since 1970, a whole number"
        ) from None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def image_notes(model: ModelFacts, base: Base) -> dict[str, str]:
    """Of the image's manifest, and the labels of its configuration."""
    version = metadata.version("fairtrial-servers")
    return {
        "org.opencontainers.image.created": created(),
        "org.opencontainers.image.title": model.name,
        "org.opencontainers.image.description": f"The model {model.name}, served by Fairtrial {version}",
        "org.opencontainers.image.version": model.digest.removeprefix("sha256:")[:12],
        "org.opencontainers.image.base.name": base.name,
        "org.opencontainers.image.base.digest": base.digest,
        "dev.fairtrial.created-by": f"fairtrial-servers {version}",
        MODEL_NAME: model.name,
        MODEL_FORMAT: model.format,
        MODEL_DIGEST: model.digest,
    }


def image_config(model: ModelFacts, base: Base, layers: Sequence[Layer], target: Platform) -> dict[str, Any]:
    """The base's configuration with what is ours on top."""
    was: dict[str, Any] = dict(base.config.get("config") or {})
    for key in ("Cmd", "Healthcheck", "OnBuild"):
        was.pop(key, None)
    ours = {
        "FAIRTRIAL_MODEL_NAME": model.name,
        "FAIRTRIAL_MODEL_PATH": model.place,
        "FAIRTRIAL_MODEL_IMPLEMENTATION": model.implementation,
        "FAIRTRIAL_MODEL_PARAMETERS": json.dumps(dict(sorted(model.parameters.items()))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": f"/{SERVER}:/{DEPENDENCIES}",
        "PYTHONUNBUFFERED": "1",
    }
    kept = [each for each in was.get("Env") or [] if each.partition("=")[0] not in ours]
    when = created()
    inherited = list(base.config.get("history") or [])
    return {
        "architecture": target.architecture,
        "os": "linux",
        "created": when,
        "config": {
            **was,
            "User": USER,
            "Env": [*kept, *(f"{key}={value}" for key, value in ours.items())],
            "Entrypoint": [f"python{base.python}", "-m", "fairtrial_servers.container"],
            "WorkingDir": "/",
            "ExposedPorts": {f"{port}/tcp": {} for port in (HTTP_PORT, GRPC_PORT, METRICS_PORT)},
            "Labels": {**(was.get("Labels") or {}), **image_notes(model, base)},
            "StopSignal": "SIGTERM",
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in (*base.layers, *layers)]},
        "history": [
            *inherited,
            *(
                {
                    "created": when,
                    "created_by": f"fairtrial pack: {layer.descriptor.annotations[LAYER_HOLDS]}",
                }
                for layer in layers
            ),
        ],
    }


def manifest(
    config: Descriptor, layers: Sequence[Descriptor], notes: Mapping[str, str], *, artifact_type: str = ""
) -> dict[str, Any]:
    said: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.as_json(),
        "layers": [layer.as_json() for layer in layers],
        "annotations": dict(notes),
    }
    if artifact_type:
        said["artifactType"] = artifact_type
    assert artifact_type or config.media_type == CONFIG
    return said
