"""The bandits' regret in simulation, against the theory's curve. Seeds are fixed."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from fairtrial_graph_components.policies.arms import Arms
from fairtrial_graph_components.policies.epsilon_greedy import EpsilonGreedyPolicy
from fairtrial_graph_components.policies.refusal import Refused
from fairtrial_graph_components.policies.thompson import Bounded, Gaussian

REPEATS = 300


def regret_of(policy, means, draw, horizon, *, seed=1, trials=False):
    """The mean cumulated regret at each step, of shape (horizon,)."""
    random = np.random.default_rng(seed)
    means = np.array(means)
    arms = Arms.unknown(REPEATS, len(means))
    rows = np.arange(REPEATS)
    lost = np.zeros(horizon)
    for step in range(horizon):
        chosen = policy.choose(arms, random)
        reward = draw(means[chosen], random)
        arms.rewards[rows, chosen] += 1
        arms.total[rows, chosen] += reward
        arms.squares[rows, chosen] += reward**2
        if trials:
            success = random.random(REPEATS) < reward
            arms.successes[rows, chosen] += success
            arms.failures[rows, chosen] += ~success
        lost[step] = (means.max() - means[chosen]).mean()
    return lost.cumsum()


def bernoulli(mean, random):
    return (random.random(mean.shape) < mean).astype(float)


def kl(p, q):
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def test_thompson_sampling_of_successes_follows_the_bound_of_lai_and_robbins():
    means = (0.5, 0.6, 0.3)
    regret = regret_of(Bounded(), means, bernoulli, 10_000, trials=True)
    coefficient = sum((0.6 - p) / kl(p, 0.6) for p in (0.5, 0.3))
    for step in (1000, 3000, 10_000):
        assert regret[step - 1] < coefficient * math.log(step)
    # Logarithmic: the last nine tenths cost about the coefficient for each unit of the logarithm.
    slope = (regret[-1] - regret[999]) / math.log(10)
    assert 0.4 * coefficient < slope < 1.25 * coefficient


def test_thompson_sampling_of_bounded_rewards_stays_within_the_bound_of_its_trials():
    def beta(mean, random):
        return random.beta(4 * mean, 4 * (1 - mean))

    regret = regret_of(Bounded(), (0.4, 0.6), beta, 5000, trials=True)
    assert regret[-1] < 0.2 / kl(0.4, 0.6) * math.log(5000)


def test_thompson_sampling_of_real_rewards_follows_the_bound_with_unknown_variance():
    def normal(mean, random):
        return random.normal(mean, 2.0)

    regret = regret_of(Gaussian(), (-100.0, -99.0), normal, 5000)
    coefficient = 1 / (0.5 * math.log(1 + 1 / 4))
    assert regret[-1] < coefficient * math.log(5000)
    assert (regret[-1] - regret[499]) / math.log(10) < 1.25 * coefficient


def test_epsilon_greedy_pays_for_its_exploration_and_for_little_else():
    regret = regret_of(EpsilonGreedyPolicy(0.1), (0.2, 0.8), bernoulli, 4000)
    explored = 0.1 / 2 * 0.6  # a request, for ever
    late = (regret[-1] - regret[1999]) / 2000
    assert late == pytest.approx(explored, rel=0.05)
    assert regret[-1] < 1.15 * explored * 4000


def test_an_arm_without_rewards_is_no_favourite():
    arms = dataclasses.replace(
        Arms.unknown(3), rewards=np.array([5.0, 0.0, 5.0]), total=np.array([-9.0, 0.0, -10.0])
    )
    chances = EpsilonGreedyPolicy(0.3).probabilities(arms, np.random.default_rng(0))
    assert chances == pytest.approx([0.8, 0.1, 0.1])


def test_gaussian_sampling_waits_for_all_arms_and_floods_none():
    arms = dataclasses.replace(Arms.unknown(2), rewards=np.array([50.0, 0.0]), total=np.array([50.0, 0.0]))
    assert Gaussian().probabilities(arms, np.random.default_rng(0)) == pytest.approx([0.5, 0.5], abs=0.05)


def test_probabilities_are_those_of_the_choices():
    arms = Arms(*(np.array(each) for each in ([9.0, 8.0], [5.0, 6.0], [5.0, 6.0], [5.0, 6.0], [4.0, 2.0])))
    random = np.random.default_rng(3)
    share = np.mean([Bounded().choose(arms, random) for _ in range(20_000)])
    assert Bounded().probabilities(arms, random)[1] == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize("reward", [math.nan, math.inf, -math.inf, -0.1, 1.1])
def test_rewards_that_are_none_are_refused(reward):
    with pytest.raises(Refused, match="the reward is"):
        Bounded().learnt(reward, np.random.default_rng(0))


def test_bernoulli_takes_nothing_between():
    with pytest.raises(Refused, match="0 or 1 only"):
        Bounded(only_bounds=True).learnt(0.5, np.random.default_rng(0))


def test_rewards_between_the_bounds_succeed_as_often_as_they_are_high():
    random = np.random.default_rng(5)
    learnt = [Bounded(-1, 3).learnt(0.0, random)["successes"] for _ in range(4000)]
    assert np.mean(learnt) == pytest.approx(0.25, abs=0.03)
