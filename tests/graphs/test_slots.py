"""Which callers move when weights change: pure."""

from itertools import pairwise

from fairtrial_graphs.backends.local.slots import SLOTS, runs
from hypothesis import given
from hypothesis import strategies as st


def arms_by_slot(weights: dict[str, int]) -> list[str]:
    return [arm for arm, slots in runs(weights) for _ in range(slots)]


def shared(candidates: int, share: int) -> dict[str, int]:
    """Weights as an experiment has them: the candidates' share evenly divided."""
    each = {f"c{i}": share // candidates + (1 if i < share % candidates else 0) for i in range(candidates)}
    return {"baseline": SLOTS - share, **each}


@given(st.lists(st.integers(0, SLOTS), max_size=6))
def test_each_arm_has_as_many_slots_as_weight(cuts: list[int]):
    bounds = [0, *sorted(cuts), SLOTS]
    weights = {f"a{i}": high - low for i, (low, high) in enumerate(pairwise(bounds))}
    slots = arms_by_slot(weights)
    assert {arm: slots.count(arm) for arm in weights} == weights
    assert len(slots) == SLOTS


@given(st.integers(1, 10), st.data())
def test_growing_candidates_take_slots_from_the_baseline_alone_and_give_none_back(
    candidates: int, data: st.DataObject
):
    before = data.draw(st.integers(0, SLOTS - candidates), "share before")
    # Whole percents each, so that no candidate has to shrink by rounding.
    before -= before % candidates
    after = before + candidates * data.draw(st.integers(0, (SLOTS - before) // candidates), "steps")
    moved = [
        (old, new)
        for old, new in zip(
            arms_by_slot(shared(candidates, before)), arms_by_slot(shared(candidates, after)), strict=True
        )
        if old != new
    ]
    assert all(old == "baseline" for old, _ in moved)
    assert len(moved) == after - before


def test_ten_percent_to_twenty_moves_ten_slots():
    before, after = (arms_by_slot({"v1": 100 - share, "v2": share}) for share in (10, 20))
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert moved == [("v1", "v2")] * 10
