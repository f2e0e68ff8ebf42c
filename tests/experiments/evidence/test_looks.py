"""Looks depend on the observations and their order alone."""

import dataclasses
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from experiments.streams import LATENCY, START, Load, chunks, spec
from fairtrial.evidence.looks import Block, Look, LookCutter
from fairtrial.judge.spec import Kind
from fairtrial.judging import judge_stream
from hypothesis import given, settings
from hypothesis import strategies as st

PLAN = spec(look_interval=1.0, max_duration=5.0)


def cut(*batches: pa.Table, plan=PLAN, close: bool = True) -> list[tuple[int, list[float], int]]:
    """Of each complete look: its number, the times in it (seconds since START), and how many were late."""
    cutter = LookCutter(plan)
    pieces = [piece for batch in batches for piece in cutter.feed(batch)]
    if close:
        pieces += list(cutter.close())
    looks, times, late = [], [], 0
    for piece in pieces:
        if isinstance(piece, Block):
            times += [round(t - START, 6) for t in piece.observations.column("time").to_pylist()]
            late += piece.late
        else:
            looks.append((piece.number, times, late))
            times, late = [], 0
    return looks


def at(*times: float) -> pa.Table:
    return pa.table({"time": np.array(times) + START})


def test_a_look_is_complete_once_an_observation_of_a_later_interval_has_come():
    assert cut(at(0, 0.5), at(0.9), close=False) == []
    assert cut(at(0, 0.5), at(0.9, 1.0), close=False) == [(1, [0, 0.5, 0.9], 0)]


def test_closing_completes_the_look_under_way():
    assert cut(at(0, 0.5, 1.2)) == [(1, [0, 0.5], 0), (2, [1.2], 0)]


def test_the_grid_begins_at_the_first_observation():
    assert [times for _, times, _ in cut(at(0.7, 1.6, 1.8))] == [[0.7, 1.6], [1.8]]


def test_a_gap_of_minutes_is_no_look_and_no_duration():
    looks = cut(at(0, 1, 600, 601, 602))
    assert [number for number, _, _ in looks] == [1, 2, 3, 4, 5]
    assert looks[2][1] == [600]


def test_nothing_is_looked_at_past_the_duration():
    looks = cut(at(0, 1, 2, 3, 4, 5, 6))
    assert [times for _, times, _ in looks] == [[0], [1], [2], [3], [4]]


def test_the_last_look_of_the_duration_says_that_it_is():
    cutter = LookCutter(PLAN)
    looks = [piece for piece in cutter.feed(at(0, 1, 2, 3, 4, 5, 6)) if isinstance(piece, Look)]
    assert [look.last for look in looks] == [False] * 4 + [True]
    assert list(cutter.close()) == []


def test_an_observation_whose_look_is_over_is_late():
    assert cut(at(0, 1.1, 0.5, 1.2)) == [(1, [0], 0), (2, [1.1, 1.2], 1)]


def test_an_observation_out_of_order_within_its_look_is_not_late():
    assert cut(at(0, 0.9, 0.2)) == [(1, [0, 0.9, 0.2], 0)]


def test_observations_without_a_usable_time_go_where_they_came():
    table = at(0, np.nan, np.inf, 1.5)
    cutter = LookCutter(PLAN)
    blocks = [piece for piece in (*cutter.feed(table), *cutter.close()) if isinstance(piece, Block)]
    assert [block.observations.num_rows for block in blocks] == [3, 1]
    assert sum(block.late for block in blocks) == 0


def test_an_empty_stream_has_no_looks():
    assert cut() == []
    assert cut(at()) == []


@settings(max_examples=60, deadline=None)
@given(
    times=st.lists(st.floats(0, 8) | st.sampled_from([0.0, 1.0, 2.0, float("nan")]), min_size=1, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=8),
)
def test_any_chunking_gives_the_same_looks(times, cuts):
    whole = at(*times)
    edges = [0, *sorted(min(c, len(times)) for c in cuts), len(times)]
    parts = [whole.slice(a, b - a) for a, b in pairwise(edges)]
    assert str(cut(*parts)) == str(cut(whole))


@pytest.mark.parametrize("size", [1, 13, 5000])
def test_any_chunking_gives_the_same_verdicts(size):
    load = Load(seconds=12, rate=30, accuracy=(0.9, 0.9), failing=(0.01, 0.03), seed=5)
    mean = dataclasses.replace(LATENCY, name="meanLatency", kind=Kind.MEAN, quantile=None, paired=True)
    plan = spec(*spec().metrics, mean, max_duration=12.0)
    whole = list(judge_stream(plan, [load.table()]))
    parts = list(judge_stream(plan, chunks(load.table(), size)))
    assert len(whole) > 5
    assert parts == whole
