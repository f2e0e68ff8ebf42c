"""`fairtrial_graph_components.epsilon_greedy.EpsilonGreedy`, a ROUTER."""

from __future__ import annotations

import math

from fairtrial_graph_components.bandit import Bandit
from fairtrial_graph_components.parameters import Parameters
from fairtrial_graph_components.policies.epsilon_greedy import EpsilonGreedyPolicy


class EpsilonGreedy(Bandit):
    def __init__(self, **given: object) -> None:
        parameters = Parameters(given)
        policy = EpsilonGreedyPolicy(
            epsilon=parameters.number("epsilon", 0.1, 0, 1),
            low=parameters.number("reward_min", -math.inf),
            high=parameters.number("reward_max", math.inf),
        )
        super().__init__(parameters, policy)
