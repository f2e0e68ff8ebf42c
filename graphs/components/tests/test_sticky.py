"""Hashing keeps a unit on its arm, and moves only those that must move."""

from __future__ import annotations

from collections import Counter

from fairtrial_graph_components.policies.sticky import arm_of
from hypothesis import given
from hypothesis import strategies as st

units = st.text(max_size=30)
weighted = st.lists(st.integers(0, 100), min_size=2, max_size=5).filter(any)


def place(unit, weights, names="abcde", salt="s"):
    return arm_of(unit, names=names[: len(weights)], weights=weights, salt=salt)


@given(units, st.integers(0, 100), st.integers(0, 100))
def test_with_two_arms_a_unit_moves_only_to_the_arm_that_grew(unit, before, after):
    was, now = place(unit, [100 - before, before]), place(unit, [100 - after, after])
    if was != now:
        assert now == (1 if after > before else 0)


@given(units, st.tuples(weighted, weighted).filter(lambda pair: len(pair[0]) == len(pair[1])))
def test_a_unit_moves_only_to_an_arm_that_grew_relative_to_its_own(unit, pair):
    before, after = pair
    was, now = place(unit, before), place(unit, after)
    if was != now:
        assert after[now] * before[was] > after[was] * before[now]


@given(units, weighted)
def test_an_arm_of_weight_0_gets_none_and_scale_does_not_matter(unit, weights):
    arm = place(unit, weights)
    assert weights[arm] > 0
    assert place(unit, [weight * 0.25 for weight in weights]) == arm


@given(units, st.permutations("abc"))
def test_the_order_of_the_arms_does_not_matter(unit, names):
    weights = {"a": 20, "b": 30, "c": 50}
    arm = arm_of(unit, names=names, weights=[weights[name] for name in names], salt="s")
    assert names[arm] == "abc"[place(unit, [20, 30, 50])]


def test_moving_10_percent_to_20_reassigns_10_percent_and_none_back():
    units = [f"user-{number}" for number in range(20_000)]
    before = [place(unit, [90, 10]) for unit in units]
    after = [place(unit, [80, 20]) for unit in units]
    moves = Counter(zip(before, after, strict=True))
    assert moves[1, 0] == 0
    assert abs(moves[0, 1] - 2000) < 3.3 * 42  # of a binomial's standard deviation: p > 0.001
    assert abs(sum(before) - 2000) < 3.3 * 42


def test_trials_with_other_salts_are_independent():
    units = [f"user-{number}" for number in range(4000)]
    both = Counter((place(unit, [50, 50]), place(unit, [50, 50], salt="t")) for unit in units)
    assert all(abs(count - 1000) < 3.3 * 27.4 for count in both.values())
