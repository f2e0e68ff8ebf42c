"""Epsilon-greedy (Sutton and Barto, Reinforcement Learning, section 2.2): the arm with the best mean so far,
but a share epsilon of requests goes to an arm drawn from all alike. Its regret grows linearly in that
share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairtrial_graph_components.policies.arms import Arms, Floats, finite, sums


@dataclass(frozen=True)
class EpsilonGreedyPolicy:
    epsilon: float
    low: float = -np.inf
    high: float = np.inf

    def choose(self, arms: Arms, random: np.random.Generator) -> NDArray[np.intp]:
        chances = self._chances(arms)
        draw = random.random(chances.shape[:-1])[..., np.newaxis]
        reached = np.cumsum(chances, axis=-1) <= draw
        return np.minimum(reached.sum(axis=-1), chances.shape[-1] - 1)

    def probabilities(self, arms: Arms, random: np.random.Generator) -> Floats:
        del random
        return self._chances(arms)

    def learnt(self, reward: float, random: np.random.Generator) -> dict[str, float]:
        del random
        return sums(finite(reward, self.low, self.high))

    def _chances(self, arms: Arms) -> Floats:
        # An arm without a reward is no favourite: with rewards that come late or never it would get all
        # traffic.
        known = np.where(arms.rewards > 0, arms.mean, -np.inf)
        best = known == known.max(axis=-1, keepdims=True)
        greedy = best / best.sum(axis=-1, keepdims=True)
        return self.epsilon / best.shape[-1] + (1 - self.epsilon) * greedy
