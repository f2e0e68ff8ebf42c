"""Thompson sampling: an arm is taken as often as it is the best by what is known of it (Thompson 1933).

`Bounded`, for rewards in [low, high]: Beta posteriors; a reward between the bounds becomes a success with the
probability that it is of the range, which keeps the logarithmic regret (Agrawal and Goyal, Analysis of
Thompson Sampling for the Multi-armed Bandit Problem, COLT 2012). For rewards 0 and 1 it is optimal: its
regret follows the bound of Lai and Robbins (Kaufmann, Korda and Munos, ALT 2012).

`Gaussian`, for real rewards: normal with unknown mean and variance, under the prior variance^(-1-a) with a =
-1/2. The reference priors (a >= 0) have polynomial regret, those with a < 0 are optimal (Honda and Takemura,
Optimality of Thompson Sampling for Gaussian Bandits Depends on Priors, AISTATS 2014)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairtrial_graph_components.policies.arms import Arms, Floats, finite, sums
from fairtrial_graph_components.policies.refusal import Refused

SIMULATED = 2000  # draws for `probabilities`: a standard error of at most 1.2 points
PRIOR = -0.5
FIRST = 4  # rewards before an arm has a posterior: max(2, 3 - floor(2a))


class _Sampling:
    def choose(self, arms: Arms, random: np.random.Generator) -> NDArray[np.intp]:
        return self._sample(arms, random).argmax(axis=-1)

    def probabilities(self, arms: Arms, random: np.random.Generator) -> Floats:
        many = Arms(
            *(
                np.broadcast_to(each, (SIMULATED, *each.shape))
                for each in (arms.rewards, arms.total, arms.squares, arms.successes, arms.failures)
            )
        )
        return np.bincount(self.choose(many, random), minlength=arms.rewards.shape[-1]) / SIMULATED

    def _sample(self, arms: Arms, random: np.random.Generator) -> Floats:
        raise NotImplementedError


@dataclass(frozen=True)
class Bounded(_Sampling):
    low: float = 0.0
    high: float = 1.0
    only_bounds: bool = False  # Bernoulli: what is neither failure nor success is a mistake of the sender's

    def learnt(self, reward: float, random: np.random.Generator) -> dict[str, float]:
        finite(reward, self.low, self.high)
        if self.only_bounds and reward not in (self.low, self.high):
            raise Refused(
                f"the reward is {reward:g}, and this router takes {self.low:g} or {self.high:g} only"
            )
        success = random.random() < (reward - self.low) / (self.high - self.low)
        return sums(reward) | {"successes": float(success), "failures": float(not success)}

    def _sample(self, arms: Arms, random: np.random.Generator) -> Floats:
        return random.beta(1 + arms.successes, 1 + arms.failures)


@dataclass(frozen=True)
class Gaussian(_Sampling):
    low: float = -np.inf
    high: float = np.inf

    def learnt(self, reward: float, random: np.random.Generator) -> dict[str, float]:
        del random
        return sums(finite(reward, self.low, self.high))

    def _sample(self, arms: Arms, random: np.random.Generator) -> Floats:
        count = np.maximum(arms.rewards, FIRST)
        mean = arms.total / count
        scatter = np.maximum(arms.squares - count * mean * mean, 0.0)
        freedom = count + 2 * PRIOR - 1
        posterior = mean + np.sqrt(scatter / (count * freedom)) * random.standard_t(freedom)
        # Until all arms have a posterior, all get the same share. To wait for one arm alone would send all
        # traffic
        # to it for as long as its rewards are late, or for ever if it never has any.
        short = (arms.rewards < FIRST).any(axis=-1, keepdims=True)
        return np.where(short, random.random(posterior.shape), posterior)
