"""A bare model as an OCI artifact: one blob for each file, as oras makes and reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from fairtrial_servers.errors import ServerError
from fairtrial_servers.formats import detect
from fairtrial_servers.image.blobs import Blobs, chunks
from fairtrial_servers.image.checking import check_model
from fairtrial_servers.image.config import created, manifest
from fairtrial_servers.image.contents import MODELS, digest_of, model_entries
from fairtrial_servers.image.oci import (
    EMPTY,
    MANIFEST,
    MODEL_ARTIFACT,
    MODEL_DIGEST,
    MODEL_FILE,
    MODEL_FORMAT,
    MODEL_NAME,
    TITLE,
    Descriptor,
    encode,
)
from fairtrial_servers.image.packed import Packed
from fairtrial_servers.image.progress import Progress, silent


def pack_artifact(
    model: Path,
    work: Path,
    *,
    name: str = "",
    implementation: str = "",
    parameters: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> Packed:
    """Make the artifact in `work`, once the model has passed the check of its runtime.

    Raises ServerError, ModelError, UnsafeModelError.
    """
    found = None if implementation else detect(model)
    progress(f"checking {model}")
    check_model(model, found.implementation if found else implementation, parameters or {})
    entries = model_entries(model)
    blobs = Blobs(work)
    layers: list[Descriptor] = []
    for entry in entries:
        title = str(PurePosixPath(entry.path).relative_to(MODELS))
        assert isinstance(entry.content, Path)
        with blobs.writing() as blob:
            try:
                with entry.content.open("rb") as file:
                    for chunk in chunks(file):
                        blob.write(chunk)
            except OSError as error:
                raise ServerError(f"cannot read {entry.content}: {error.strerror}") from error
        layers.append(Descriptor(MODEL_FILE, blob.digest, blob.size, {TITLE: title}))
    config = blobs.add(b"{}", EMPTY)
    notes = {
        "org.opencontainers.image.created": created(),
        MODEL_NAME: name or model.absolute().stem,
        MODEL_FORMAT: found.name if found else "",
        MODEL_DIGEST: digest_of(entries),
    }
    root = blobs.add(encode(manifest(config, layers, notes, artifact_type=MODEL_ARTIFACT)), MANIFEST)
    progress(f"packed {len(layers)} files: {root.digest}")
    return Packed(
        root=replace(root, artifact_type=MODEL_ARTIFACT),
        sources=(blobs,),
        manifests=[root],
        blobs=list({blob.digest: blob for blob in (*layers, config)}.values()),
    )
