"""Which callers an arm gets: the hundred slots that the hash of a caller's key falls into, arm by arm."""

from __future__ import annotations

from collections.abc import Mapping

SLOTS = 100


def runs(weights: Mapping[str, int]) -> list[tuple[str, int]]:
    """Weights, which sum to 100, as (arm, slots) in the order of the slots. No slots: the arm is left out.

    The first arm is the baseline. Each candidate begins at a place of its own, as far from the next one's as
    possible, and the baseline has what is between them. So when candidates that have equal weights grow, each
    takes callers from the baseline alone, and no caller goes back to it or from candidate to candidate.
    """
    baseline, *candidates = weights
    left, at = weights[baseline], 0
    found: list[tuple[str, int]] = []
    for number, candidate in enumerate(candidates, 1):
        found.append((candidate, weights[candidate]))
        at += weights[candidate]
        room = min(left, max(0, number * SLOTS // len(candidates) - at))
        found.append((baseline, room))
        at += room
        left -= room
    found.append((baseline, left))
    return [(arm, slots) for arm, slots in found if slots]
