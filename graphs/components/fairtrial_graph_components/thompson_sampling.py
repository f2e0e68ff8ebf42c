"""`fairtrial_graph_components.thompson_sampling.ThompsonSampling`, a ROUTER."""

from __future__ import annotations

import math

from fairtrial_graph_components.bandit import Bandit
from fairtrial_graph_components.parameters import Parameters
from fairtrial_graph_components.policies.arms import Policy
from fairtrial_graph_components.policies.thompson import Bounded, Gaussian


class ThompsonSampling(Bandit):
    def __init__(self, **given: object) -> None:
        parameters = Parameters(given)
        super().__init__(parameters, _policy(parameters))


def _policy(parameters: Parameters) -> Policy:
    rewards = parameters.choice("rewards", ("bernoulli", "bounded", "gaussian"))
    if rewards == "bernoulli":
        return Bounded(only_bounds=True)
    whole = rewards == "gaussian"
    low = parameters.number("reward_min", -math.inf if whole else 0.0)
    high = parameters.number("reward_max", math.inf if whole else 1.0)
    if not low < high:
        parameters.refuse("parameter reward_min must be below reward_max")
    if whole:
        return Gaussian(low, high)
    if not math.isfinite(high - low):
        parameters.refuse("parameters reward_min and reward_max must be finite for rewards: bounded")
    return Bounded(low, high)
