"""The image of a version: packed, and pushed under the version's tag."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from fairtrial.delivery.pipeline.serving import Image
from fairtrial.experiment.arms import Arm
from fairtrial.packing import Packing, pack_model

_FORBIDDEN_IN_TAGS = re.compile(r"[^A-Za-z0-9_.-]+")


def pushed(
    said: Image, model: Path, version: str, arm: Arm, name: str, say: Callable[[str], None]
) -> Mapping[str, str]:
    """Pack the model as the arm serves it, and push it. The same files give the same digest and tag.

    model: its file or folder. name: the model's in V2 paths. Raises UsageError, NotReadyError and
    UnsafeModelError.
    """
    tag = _FORBIDDEN_IN_TAGS.sub("-", version).lstrip(".-")[:128]
    document = pack_model(
        Packing(
            model=model,
            image=None,
            to=f"{said.push}:{tag}",
            base=said.base or "",
            platforms=(),
            name=name,
            implementation=arm.implementation or "",
            parameters={key: str(value) for key, value in arm.parameters.items()},
            extra_requirements=(),
            lock=None,
            include=(),
            python=None,
            artifact=said.artifact,
            insecure=said.insecure,
            cache=None,
        ),
        say,
    )
    return {"image": f"{document['image']}", "imageDigest": document["digest"]}
