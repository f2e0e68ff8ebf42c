"""How long until what could not be done is tried again."""

from __future__ import annotations

_MOST = 30  # doublings; a float has no room for those of an outage of days


def pause_after(failures: int, first: float, longest: float) -> float:
    """Seconds: `first` after one failure, twice as long after each further one, `longest` at most."""
    return min(longest, first * 2.0 ** min(failures - 1, _MOST))
