"""Options that several verbs take, as one decorator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])


def together(*options: Callable[[Callable[..., Any]], Any]) -> Callable[[_F], _F]:
    """One decorator of several `click.option`s, which the help lists in this order."""

    def add(callback: _F) -> _F:
        for option in reversed(options):
            callback = option(callback)
        return callback

    return add
