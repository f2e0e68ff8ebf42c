"""What is known of the arms of a bandit: sums that merge by addition."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fairtrial_graph_components.policies.refusal import Refused

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Arms:
    """Sums of rewards, each of shape (..., arms); what stands before are independent bandits."""

    rewards: Floats  # how many rewards came
    total: Floats  # their sum
    squares: Floats  # the sum of their squares
    successes: Floats  # of the trials that Thompson sampling makes of rewards in [0, 1]
    failures: Floats

    @classmethod
    def unknown(cls, *shape: int) -> Arms:
        return cls(*(np.zeros(shape) for _ in range(5)))

    @property
    def mean(self) -> Floats:
        """The mean reward; NaN where no reward came."""
        with np.errstate(invalid="ignore"):
            return self.total / self.rewards


class Policy(Protocol):
    """Chooses an arm by what is known of all."""

    def choose(self, arms: Arms, random: np.random.Generator) -> NDArray[np.intp]:
        """The arm, of shape (...)."""
        ...

    def probabilities(self, arms: Arms, random: np.random.Generator) -> Floats:
        """How likely `choose` takes each arm, of shape (arms,), for one bandit; exact or simulated."""
        ...

    def learnt(self, reward: float, random: np.random.Generator) -> dict[str, float]:
        """What a reward adds to the sums of its arm, by field of `Arms`. Raises Refused."""
        ...


def finite(reward: float, low: float, high: float) -> float:
    """The reward, if it is a number within the bounds. Raises Refused."""
    if not math.isfinite(reward):
        raise Refused(f"the reward is {reward}, and must be a finite number")
    if not low <= reward <= high:
        raise Refused(f"the reward is {reward:g}, and this router takes rewards from {low:g} to {high:g}")
    return reward


def sums(reward: float) -> dict[str, float]:
    return {"rewards": 1.0, "total": reward, "squares": reward * reward}
