"""The image of a version: packed, and pushed under the version's tag."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from fairtrial.delivery.pinning import arm_of
from fairtrial.delivery.pipeline.serving import Image
from fairtrial.experiment.arms import Arm
from fairtrial.packing import Packing, pack_model

_FORBIDDEN_IN_TAGS = re.compile(r"[^A-Za-z0-9_.-]+")


def pushed(
    said: Image,
    folder: Path,
    model: Path,
    version: str,
    arm: Arm,
    say: Callable[[str], None],
) -> Mapping[str, str]:
    """Pack the model as the arm serves it, and push it. The same files give the same digest and tag.

    folder: where relative paths of the pipeline file start. model: its file or folder. The image's reference
    with its digest. Raises UsageError, NotReadyError and UnsafeModelError.
    """
    base = said.base or ""
    tag = _FORBIDDEN_IN_TAGS.sub("-", version).lstrip(".-")[:128]
    document = pack_model(
        Packing(
            model=model,
            image=None,
            to=f"{said.push}:{tag}",
            base=str(folder / base) if base and (folder / base).exists() else base,
            platforms=(),
            name=arm_of(version),
            implementation=arm.implementation or "",
            parameters={key: str(value) for key, value in arm.parameters.items()},
            extra_requirements=(),
            lock=folder / said.lock if said.lock is not None else None,
            include=(),
            python=None,
            artifact=said.artifact,
            insecure=said.insecure,
            cache=None,
        ),
        say,
    )
    return {"image": document["image"]}
