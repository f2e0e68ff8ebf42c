"""A fair trial for every model version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairtrial.api import Run, Trial, load

__all__ = ["Run", "Trial", "load"]


def __getattr__(name: str) -> Any:
    # Late, so that the command line does not pay for what only notebooks use.
    if name in __all__:
        from fairtrial import api

        return getattr(api, name)
    raise AttributeError(f"module 'fairtrial' has no attribute {name!r}")
