"""Tags as the last line of a version's description: labels take neither capitals nor a digest. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

_MARK = "fairtrial: "


def tags_in(description: str) -> dict[str, str]:
    """None where no line is ours, or a person has edited it so that it cannot be read."""
    ours = [line for line in description.splitlines() if line.startswith(_MARK)]
    try:
        found = json.loads(ours[-1].removeprefix(_MARK)) if ours else {}
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def with_tags(description: str, tags: Mapping[str, str]) -> str:
    """The description with these tags beside those that it has."""
    theirs = "\n".join(line for line in description.splitlines() if not line.startswith(_MARK)).rstrip()
    ours = _MARK + json.dumps(tags_in(description) | dict(tags), sort_keys=True)
    return f"{theirs}\n\n{ours}" if theirs else ours
