"""Whether what stands in the cluster is what was applied, whatever defaults and webhooks have added to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def differences(wanted: Any, found: Any, path: str = "spec") -> Iterator[str]:
    """Paths of fields whose value in `found` is not what `wanted` says. More fields are no difference.

    Lists are compared item by item, and so are of the same length.
    """
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            yield path
            return
        for name, value in wanted.items():
            yield from differences(value, found.get(name), f"{path}.{name}")
    elif isinstance(wanted, Sequence) and not isinstance(wanted, str):
        if not isinstance(found, Sequence) or isinstance(found, str) or len(wanted) != len(found):
            yield path
            return
        for index, value in enumerate(wanted):
            yield from differences(value, found[index], f"{path}.{index}")
    elif wanted != found and (wanted or found):  # 0, false and "" are left out by what writes them back
        yield path
