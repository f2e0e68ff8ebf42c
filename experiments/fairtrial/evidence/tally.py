"""Counts what is kept out of the evidence, and why."""

from __future__ import annotations

from collections import Counter

import numpy as np

from fairtrial.evidence.arrow import Index
from fairtrial.judge.evidence import Excluded, Exclusion


class Tally:
    """A counter of exclusions. `arms` names the positions on the arm axis."""

    def __init__(self, arms: tuple[str, ...]) -> None:
        self.arms = arms
        self.excluded: Counter[Excluded] = Counter()

    def count(self, reason: Exclusion, number: int, *, metric: str = "") -> None:
        """Add `number`, which concern no arm in particular."""
        if number:
            self.excluded[Excluded(reason, metric)] += number

    def count_by_arm(self, reason: Exclusion, arm: Index, *, metric: str) -> None:
        """Add one for each entry of `arm`."""
        for name, number in zip(self.arms, np.bincount(arm, minlength=len(self.arms)).tolist(), strict=True):
            if number:
                self.excluded[Excluded(reason, metric, name)] += number
