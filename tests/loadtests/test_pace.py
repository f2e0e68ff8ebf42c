"""Loads whose rate changes: arrivals come at the rate of their moment, wherever one starts."""

import itertools
import json

import numpy as np
import pyarrow as pa
import pytest
from fairtrial_loadtests.arrivals import BLOCK, CHAPTER, MAX_SPREAD, Schedule, Share
from fairtrial_loadtests.errors import BadLoadError
from fairtrial_loadtests.pace import Staged, Traced
from fairtrial_loadtests.plan import Arrivals, LoadPlan, Stage, Trace
from fairtrial_loadtests.trace import read_trace
from pyarrow import csv, parquet
from scipy import stats

SPIKE = (Stage(20.0, 50.0), Stage(5.0, 1000.0), Stage(20.0, 50.0))
RAMP = (Stage(30.0, 0.0, 200.0), Stage(10.0, 200.0), Stage(30.0, 200.0, 20.0))


def schedule(stages=(), duration=1e9, process="poisson", trace=None, *, seed=3, share=0.2, **of):
    arrivals = Arrivals(100.0, process, duration, stages, trace)
    return Schedule(arrivals, seed=seed, rows=50, arms=2, share=share, **of)


def times_of(*args, **kwargs):
    return np.array([arrival.time for arrival in schedule(*args, **kwargs).arrivals()])


@pytest.mark.parametrize("stages", [SPIKE, RAMP], ids=["spike", "ramp"])
def test_the_inverse_of_the_expected_number_of_arrivals_is_exact(stages):
    pace = Staged(stages)
    for moment in (0.7, 5.0, 19.9, 22.0, 31.0, 44.0):
        assert pace.when(np.array([pace.work(moment)]))[0] == pytest.approx(moment)
        later = pace.work(moment + 1e-4) - pace.work(moment)
        assert 1e-4 / later == pytest.approx(pace.gaps(np.array([pace.work(moment)]))[0], rel=1e-2)
    assert pace.when(np.array([pace.work(1e9) + 1e-6]))[0] == np.inf


@pytest.mark.parametrize("stages", [SPIKE, RAMP], ids=["spike", "ramp"])
def test_arrivals_at_a_changing_rate_are_a_poisson_process_of_that_rate(stages):
    pace, times = Staged(stages), times_of(stages, seed=5)
    gaps = np.diff([pace.work(time) for time in times], prepend=0.0)
    assert stats.kstest(gaps, "expon").pvalue > 0.01
    for begin, end in ((0, 20), (20, 25), (25, 45)):
        expected = pace.work(end) - pace.work(begin)
        seen = np.count_nonzero((times >= begin) & (times < end))
        assert abs(seen - expected) < 4 * np.sqrt(expected)


def test_even_arrivals_follow_each_other_at_the_rate_of_their_moment():
    gaps = np.diff(times_of(SPIKE, process="constant"))
    assert sorted(set(gaps.round(6))) == [0.001, 0.02]


def test_a_load_ends_with_its_last_stage_or_earlier_with_its_longest_duration():
    assert 44 < times_of(SPIKE)[-1] < 45
    assert 21 < times_of(SPIKE, duration=22.0)[-1] < 22


@pytest.mark.parametrize("stages", [(), SPIKE, RAMP], ids=["steady", "spike", "ramp"])
def test_a_load_at_a_changing_rate_is_taken_up_again_as_it_was(stages):
    whole = list(itertools.islice(schedule(stages).arrivals(), 3000))
    for first in (1, 1000, 1024, 2500):
        assert list(itertools.islice(schedule(stages).arrivals(first), 20)) == whole[first : first + 20]


def test_an_arrival_beyond_the_first_chapter_is_the_same_however_it_is_reached():
    first = BLOCK * CHAPTER - 3
    before = list(itertools.islice(schedule().arrivals(first), 10))
    after = list(itertools.islice(schedule().arrivals(first + 5), 5))
    assert before[5:] == after
    times = [arrival.time for arrival in before]
    assert times == sorted(times)
    assert times[0] == pytest.approx(first / 100, rel=0.01)


def test_the_blocks_sums_leave_no_seam_in_the_gaps_and_in_the_share_of_pairs():
    arrivals = list(itertools.islice(schedule(seed=8).arrivals(), 100 * BLOCK))
    ends = np.array([arrival.time for arrival in arrivals])[BLOCK - 1 :: BLOCK]
    lengths = np.diff(ends, prepend=0.0) * 100
    assert stats.kstest(lengths, "gamma", args=(BLOCK,)).pvalue > 0.01
    paired = np.array([bool(arrival.offsets) for arrival in arrivals]).reshape(100, BLOCK).sum(axis=1)
    assert paired.std() == pytest.approx(np.sqrt(BLOCK * 0.2 * 0.8), rel=0.3)


@pytest.mark.parametrize("stages", [SPIKE, RAMP], ids=["spike", "ramp"])
def test_shares_of_a_changing_load_are_together_the_whole_of_it(stages):
    shares = [list(schedule(stages, of=Share(k, 3)).arrivals()) for k in range(3)]
    assert sorted(itertools.chain(*shares), key=lambda a: a.index) == list(schedule(stages).arrivals())


def test_halves_are_within_the_mean_gap_of_their_moment():
    pairs = [a for a in schedule(SPIKE, share=0.0).arrivals()]
    spread = np.array([max(a.offsets) for a in pairs])
    at_peak = np.array([20 < a.time < 25 for a in pairs])
    assert spread[at_peak].max() <= 0.001
    assert 0.015 < spread[~at_peak].max() <= 0.02 <= MAX_SPREAD


def write_times(folder, times, name):
    path = folder / name
    table = pa.table({"time": times, "path": ["/"] * len(times)})
    if path.suffix == ".parquet":
        parquet.write_table(table, path)
    elif path.suffix == ".csv":
        csv.write_csv(table, path)
    else:
        path.write_text("".join(json.dumps({"time": str(t)}) + "\n" for t in times))
    return path


RECORDED = ["2026-11-28T10:00:00.500Z", "2026-11-28T10:00:03.000Z", "2026-11-28T10:00:01.250Z"]


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_a_trace_is_replayed_in_order_and_as_fast_as_said(tmp_path, name):
    path = write_times(tmp_path, RECORDED, name)
    assert read_trace(Trace(path), 1).tolist() == pytest.approx([0.0, 0.75, 2.5])
    assert read_trace(Trace(path, speed=2.0), 1).tolist() == pytest.approx([0.0, 0.375, 1.25])


@pytest.mark.parametrize("scale", [1, 1_000, 1_000_000, 1_000_000_000])
def test_numbers_are_seconds_or_what_an_epoch_of_their_size_must_be(tmp_path, scale):
    times = [int(1_795_000_000.25 * scale), int(1_795_000_000.75 * scale), int(1_795_000_002 * scale)]
    path = write_times(tmp_path, times, "a.parquet")
    expected = [0.0, 0.5, 1.75] if scale > 1 else None
    found = read_trace(Trace(path), 1)
    assert found.size == 3
    if expected:
        assert found.tolist() == pytest.approx(expected, abs=1e-5)


def test_an_access_log_is_a_trace_and_its_whole_seconds_are_filled_at_random(tmp_path):
    log = tmp_path / "access.log"
    line = '10.0.0.7 - - [28/Nov/2026:10:00:{:02d} +0000] "POST /v2/models/wine/infer HTTP/1.1" 200 120\n'
    log.write_text("".join(line.format(second) * 200 for second in range(10)) + "a line without a time\n")
    times = read_trace(Trace(log), 1)
    assert times.size == 2000
    assert stats.kstest(times / times[-1], "uniform").pvalue > 0.01
    assert np.array_equal(times, read_trace(Trace(log), 1))
    assert not np.array_equal(times, read_trace(Trace(log), 2))


def test_arrivals_of_a_trace_come_at_its_times_and_its_pairs_in_either_order(tmp_path):
    times = np.sort(np.random.default_rng(1).gamma(2.0, 20.0, 4000))
    path = write_times(tmp_path, times, "a.parquet")
    arrivals = list(schedule(trace=Trace(path), share=0.0).arrivals())
    assert [a.time for a in arrivals] == pytest.approx((times - times[0]).tolist(), abs=1e-9)
    assert np.mean([b < a for a, b in (arrival.offsets for arrival in arrivals)]) == pytest.approx(
        0.5, abs=0.03
    )
    assert list(schedule(trace=Trace(path), share=0.0).arrivals(2000)) == arrivals[2000:]


def test_the_expected_arrivals_of_a_trace_are_those_that_come():
    pace = Traced(np.array([0.0, 1.0, 2.5, 2.5]))
    assert [pace.work(time) for time in (0.5, 2.5, 3.0)] == [1, 2, 4]


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([], "null values"),
        ([1.0], "1 times"),
        ([3.5, 3.5, 3.5], "are the same"),
        (["soon", "later"], "cannot be read"),
        ([1.0, None, 3.0], "empty cell"),
        ([1.0, float("nan")], "no number"),
        ([True, False], "times are timestamps"),
    ],
)
def test_what_is_no_trace_is_refused_in_a_sentence(tmp_path, times, said):
    with pytest.raises(BadLoadError, match=said):
        read_trace(Trace(write_times(tmp_path, times, "a.parquet")), 1)


def test_a_trace_that_is_missing_or_lacks_the_column_is_refused(tmp_path):
    with pytest.raises(BadLoadError, match="does not exist"):
        read_trace(Trace(tmp_path / "none.csv"), 1)
    with pytest.raises(BadLoadError, match="cannot be read"):
        read_trace(Trace(tmp_path / "none.log"), 1)
    with pytest.raises(BadLoadError, match="no column 'when'"):
        read_trace(Trace(write_times(tmp_path, [1.0, 2.0], "a.csv"), column="when"), 1)


@pytest.mark.parametrize(
    "arrivals",
    [
        Arrivals(100.0, stages=(Stage(0.0, 5.0),)),
        Arrivals(100.0, stages=(Stage(1.0, 0.0),)),
        Arrivals(100.0, trace=Trace("a.csv", speed=0.0)),
    ],
)
def test_a_plan_of_arrivals_that_cannot_be_is_refused(arrivals):
    with pytest.raises(BadLoadError):
        arrivals.check()


def test_a_plan_with_stages_or_a_trace_survives_its_file(make_plan, tmp_path):
    for arrivals in (
        Arrivals(100.0, stages=RAMP),
        Arrivals(100.0, trace=Trace(tmp_path / "a.csv", "t", 2.0)),
    ):
        plan = make_plan(arrivals=arrivals)
        assert LoadPlan.from_json(plan.to_json()) == plan
