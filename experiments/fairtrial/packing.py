"""A model into an image or an artifact, on disk or in a registry."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairtrial_servers.errors import ServerError

from fairtrial.errors import ExitCode, FairtrialError, NotReadyError, UnsafeModelError, UsageError


@dataclass(frozen=True)
class Packing:
    """What the command line was told."""

    model: Path
    image: Path | None
    to: str | None
    base: str
    platforms: tuple[str, ...]
    name: str
    implementation: str
    parameters: Mapping[str, str]
    extra_requirements: tuple[str, ...]
    lock: Path | None
    include: tuple[tuple[Path, str], ...]
    python: str | None
    artifact: bool
    insecure: bool
    cache: Path | None


def pack_model(packing: Packing, progress: Callable[[str], None]) -> dict[str, Any]:
    """Pack and push; what came of it, for scripts. Raises UsageError, NotReadyError, UnsafeModelError."""
    try:
        import fairtrial_servers.image.pack as _  # noqa: F401
    except ModuleNotFoundError as error:
        raise UsageError(
            f'packing needs {error.name}, which is not installed: pip install "fairtrial-servers[image]"'
        ) from error
    try:
        return _pack(packing, progress)
    except ServerError as error:
        raise _as_ours(error) from error


def _as_ours(error: ServerError) -> FairtrialError:
    kinds = {ExitCode.USAGE: UsageError, ExitCode.UNSAFE: UnsafeModelError}
    return kinds.get(ExitCode(error.exit_code), NotReadyError)(str(error))


def _pack(packing: Packing, progress: Callable[[str], None]) -> dict[str, Any]:
    from fairtrial_servers.image.layout import check_target, write_layout
    from fairtrial_servers.image.push import check_push_target, push

    # What is wrong with the ends is said before minutes of work.
    if packing.image is not None:
        check_target(packing.image)
    if packing.to is not None:
        check_push_target(packing.to)
    parent = (packing.image or Path(tempfile.gettempdir()) / "image").absolute().parent
    if not parent.is_dir():
        raise UsageError(f"there is no folder {parent} to write the image to")
    with tempfile.TemporaryDirectory(prefix=".fairtrial-pack-", dir=parent) as work:
        packed = _made(packing, Path(work), progress)
        document: dict[str, Any] = {"digest": packed.root.digest, "bytes": packed.size}
        if packing.image is not None:
            name = packing.to or packing.name or packing.model.absolute().stem
            write_layout(packing.image, packed.root, packed.files(), name)
            document["image"] = str(packing.image)
        if packing.to is not None:
            pushed = push(packed, packing.to, insecure=packing.insecure, progress=progress)
            document["image"] = str(pushed.reference)
            document["uploaded"] = pushed.uploaded
    return document


def _made(packing: Packing, work: Path, progress: Callable[[str], None]) -> Any:
    from fairtrial_servers.image.artifact import pack_artifact
    from fairtrial_servers.image.dependencies import check_requirement
    from fairtrial_servers.image.pack import Request, pack
    from fairtrial_servers.image.platforms import own_platform, platform

    if packing.artifact:
        return pack_artifact(
            packing.model,
            work,
            name=packing.name,
            implementation=packing.implementation,
            parameters=packing.parameters,
            progress=progress,
        )
    request = Request(
        model=packing.model,
        name=packing.name,
        base=packing.base,
        platforms=tuple(dict.fromkeys(platform(each) for each in packing.platforms)) or (own_platform(),),
        python=packing.python,
        implementation=packing.implementation,
        parameters=packing.parameters,
        extra_requirements=tuple(check_requirement(each) for each in packing.extra_requirements),
        lock=packing.lock,
        include=packing.include,
        insecure=packing.insecure,
    )
    return pack(request, work, cache=packing.cache, progress=progress)
