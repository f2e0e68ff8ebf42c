"""What SageMaker lets one write, and what a package says of itself. Pure."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

_UNWRITABLE = re.compile(
    r"[^\w\s.:/=+\-@]"
)  # letters, digits, spaces and a few signs are all that a value may have


def properties_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as a package's metadata: signs that none may have are dots, and what is too long is cut."""
    return {_written(key, 128): _written(value, 256) for key, value in tags.items()}


def _written(text: str, longest: int) -> str:
    plain = _UNWRITABLE.sub(".", " ".join(text.split()))
    return plain[:longest] or "-"


def alias_key(alias: str) -> str:
    """The tag of the group whose value is the version that has the alias."""
    return f"fairtrial:alias:{alias}"


def description_of(run: str) -> str:
    """By which the package of a run is found again: listings have the description, and no properties."""
    return f"promoted by the run {run} of Fairtrial"


def token_of(run: str) -> str:
    """With the same token SageMaker makes the same package, not another."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"fairtrial:{run}"))


def model_uri(package: Mapping[str, Any]) -> str:
    """Where the model's files are: a tar.gz, or a prefix of S3; "" where the package names none."""
    containers: list[dict[str, Any]] = package.get("InferenceSpecification", {}).get("Containers", [])
    if not containers:
        return ""
    first = containers[0]
    source = first.get("ModelDataSource", {}).get("S3DataSource", {})
    return str(first.get("ModelDataUrl") or source.get("S3Uri") or "")
