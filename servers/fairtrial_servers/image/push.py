"""Bringing what was packed to a registry: what is there already is left, the name is moved last."""

from __future__ import annotations

from dataclasses import dataclass

from fairtrial_servers.errors import ServerError
from fairtrial_servers.image.packed import Packed
from fairtrial_servers.image.progress import Progress, megabytes, silent
from fairtrial_servers.image.reference import Reference, parse
from fairtrial_servers.image.registry import Registry


@dataclass(frozen=True)
class Pushed:
    reference: Reference  # with the digest
    uploaded: int  # bytes that were sent
    present: int  # bytes that were there before, or were taken from another name in the registry


def check_push_target(text: str) -> Reference:
    """Raises ServerError for what an image cannot be pushed to."""
    reference = parse(text)
    if reference.digest:
        raise ServerError(f"{text} names a digest, which follows from the image: push to a tag")
    return reference


def push(packed: Packed, to: str, *, insecure: bool = False, progress: Progress = silent) -> Pushed:
    """Push to `REGISTRY/NAME:TAG`. Can be repeated after it was cut off, and run twice at once.

    Blobs come first and the tag last, so that the tag never names an image of which something is missing.
    Raises ServerError, RegistryError.
    """
    reference = check_push_target(to)
    sent = there = 0
    with Registry(reference, actions="pull,push", insecure=insecure) as registry:
        for number, blob in enumerate(packed.blobs, 1):
            label = f"{number} of {len(packed.blobs)}, {megabytes(blob.size)}"
            if registry.has(blob):
                progress(f"blob {label}: there already")
                there += blob.size
                continue
            source = packed.mount_from.get(blob.digest, "").removeprefix(f"{reference.registry}/")
            mountable = packed.mount_from.get(blob.digest, "").startswith(f"{reference.registry}/")
            if registry.upload(blob, packed.path(blob), mount_from=source if mountable else ""):
                progress(f"blob {label}: uploaded")
                sent += blob.size
            else:
                progress(f"blob {label}: taken from {source}")
                there += blob.size
        for manifest in packed.manifests:
            last = manifest.digest == packed.root.digest
            data = packed.path(manifest).read_bytes()
            registry.put_manifest(data, manifest.media_type, reference.tag if last else manifest.digest)
            sent += manifest.size
    pushed = Reference(reference.registry, reference.name, reference.tag, packed.root.digest)
    progress(f"pushed {pushed}: {megabytes(sent)} uploaded, {megabytes(there)} there already")
    return Pushed(pushed, sent, there)
