"""The schedule: open, seeded, and the same from whatever arrival one takes it up."""

import itertools
import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from fairtrial_loadtests.arrivals import MAX_SPREAD, Boundary, Schedule, Send
from fairtrial_loadtests.plan import Arrivals
from scipy import stats


def schedule(rate=100.0, duration=1e9, process="poisson", *, seed=3, rows=50, arms=2, share=0.2):
    return Schedule(Arrivals(rate, process, duration), seed=seed, rows=rows, arms=arms, share=share)


def first(n, items):
    return list(itertools.islice(items, n))


def only_sends(items):
    return [item for item in items if isinstance(item, Send)]


def test_poisson_gaps_are_exponential_with_the_mean_of_the_rate():
    times = [arrival.time for arrival in first(20_000, schedule(rate=250).arrivals())]
    gaps = np.diff(times, prepend=0.0)
    assert stats.kstest(gaps, "expon", args=(0, 1 / 250)).pvalue > 0.01


def test_each_arm_of_a_pair_by_itself_sees_a_poisson_process():
    sends = only_sends(first(60_000, schedule(rate=250, share=0.0).sends()))
    for arm in (0, 1):
        times = [send.time for send in sends if send.arm == arm][:20_000]
        assert stats.kstest(np.diff(times), "expon", args=(0, 1 / 250)).pvalue > 0.01


def test_constant_arrivals_are_one_to_a_gap_on_each_arm():
    sends = only_sends(first(3000, schedule(rate=10, process="constant", share=0.0).sends()))
    for arm in (0, 1):
        slots = [math.floor(send.time * 10 + 1e-9) for send in sends if send.arm == arm][:900]
        assert slots == list(range(1, 901))


@pytest.mark.parametrize("resumed_at", [1, 777, 1023, 1024, 1025, 5000])
def test_a_resumed_schedule_is_the_same_schedule(resumed_at):
    whole = first(6000, schedule().arrivals())
    assert first(900, schedule().arrivals(resumed_at)) == whole[resumed_at : resumed_at + 900]


def test_time_before_is_the_time_of_the_arrival_before():
    whole = first(1500, schedule().arrivals())
    assert schedule().time_before(0) == 0.0
    assert schedule().time_before(1) == whole[0].time
    assert schedule().time_before(1400) == whole[1399].time
    assert schedule(duration=1.0).time_before(10_000) == 1.0


def test_another_seed_is_another_schedule():
    assert first(5, schedule(seed=1).arrivals()) != first(5, schedule(seed=2).arrivals())


def test_a_load_ends_at_its_longest_duration_resumed_or_not():
    whole = list(schedule(rate=100, duration=5.0).arrivals())
    assert whole[-1].time < 5.0
    assert 400 < len(whole) < 600
    assert list(schedule(rate=100, duration=5.0).arrivals(300)) == whole[300:]


@pytest.mark.parametrize("rows", [1, 7, 50])
def test_every_pass_sends_each_row_once_to_each_arm_and_in_another_order(rows):
    pairs = [a.row for a in first(1000, schedule(rows=rows).arrivals()) if a.offsets]
    passes = [pairs[i : i + rows] for i in range(0, len(pairs) - rows, rows)]
    assert all(sorted(each) == list(range(rows)) for each in passes)
    if rows == 50:
        assert len({tuple(each) for each in passes}) == len(passes)


def test_the_share_of_unpaired_arrivals_is_as_stated_and_has_rows_of_its_own():
    arrivals = first(20_000, schedule(share=0.2, rows=50).arrivals())
    unpaired = [a.row for a in arrivals if not a.offsets]
    assert len(unpaired) / 20_000 == pytest.approx(0.2, abs=0.015)
    assert sorted(unpaired[:50]) == list(range(50))
    assert all(a.offsets for a in first(1000, schedule(share=0.0).arrivals()))


def test_either_arm_goes_first_as_often_and_the_halves_are_within_a_mean_gap():
    pairs = [a.offsets for a in first(10_000, schedule(rate=100, share=0.0).arrivals())]
    second_first = np.mean([b < a for a, b in pairs])
    assert second_first == pytest.approx(0.5, abs=0.02)
    assert 0 <= np.min(pairs) < np.max(pairs) <= 1 / 100
    slow = [a.offsets for a in first(1000, schedule(rate=0.1, share=0.0).arrivals())]
    assert np.max(slow) <= MAX_SPREAD


def test_the_halves_times_are_independent():
    pairs = np.array([a.offsets for a in first(10_000, schedule(share=0.0).arrivals())])
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 0.03


def test_sends_come_in_order_of_time_and_none_is_missing():
    arrivals = list(schedule(rate=100, duration=20.0, arms=3).arrivals())
    sends = only_sends(schedule(rate=100, duration=20.0, arms=3).sends())
    assert [s.time for s in sends] == sorted(s.time for s in sends)
    expected = Counter({a.index: 3 if a.offsets else 1 for a in arrivals})
    assert Counter(s.arrival for s in sends) == expected
    assert len({(s.arrival, s.arm) for s in sends}) == len(sends)


def test_no_arrival_straddles_a_boundary():
    items = list(schedule(rate=100, duration=20.0, arms=3).sends())
    times = defaultdict(list)
    for item in items:
        if isinstance(item, Send):
            times[item.arrival].append(item.time)
    boundaries = [item for item in items if isinstance(item, Boundary)]
    assert len(boundaries) > len(times) / 10, "parts could hardly ever be cut"
    for boundary in boundaries:
        assert all(max(t) < boundary.time for i, t in times.items() if i < boundary.arrival)
        assert all(min(t) >= boundary.time for i, t in times.items() if i >= boundary.arrival)
    assert boundaries[-1] == Boundary(math.inf, len(times))
