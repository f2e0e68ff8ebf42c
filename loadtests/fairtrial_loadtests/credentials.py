"""What lets a load in where not everybody is let in: headers from the environment, and from nowhere else.

They stand in no plan, manifest or log. A worker on another machine takes them from its own environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from fairtrial_loadtests.errors import BadLoadError

#: Lines of `Name: value` for every arm, and with `_` and an arm's name in capitals for that one.
HEADERS = "FAIRTRIAL_HEADERS"

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def headers_for(arm: str | None, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The headers of every request to an arm; its own variable beats that of all. None: the split's.

    Raises BadLoadError, which does not repeat what may be secret.
    """
    environ = os.environ if environ is None else environ
    found: dict[str, str] = {}
    for variable in (HEADERS, *([variable_of(arm)] if arm is not None else [])):
        for line in environ.get(variable, "").splitlines():
            name, colon, value = (part.strip() for part in line.partition(":"))
            if not line.strip():
                continue
            if not colon or not _NAME.fullmatch(name) or not (value.isascii() and value.isprintable()):
                raise BadLoadError(f"{variable} is not lines of `Name: value`, which can be sent as headers.")
            found = {known: said for known, said in found.items() if known.lower() != name.lower()}
            found[name] = value
    return found


def variable_of(arm: str) -> str:
    """FAIRTRIAL_HEADERS_V1 for v1."""
    return f"{HEADERS}_{arm.upper().replace('-', '_')}"
