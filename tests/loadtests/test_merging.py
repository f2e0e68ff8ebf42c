"""What the shares of a load record, merged, is what one process would have recorded."""

import math
import random

import numpy as np
import pyarrow as pa
import pytest
from fairtrial_loadtests.arrivals import Boundary, Schedule, Send, Share
from fairtrial_loadtests.merging import Merger
from fairtrial_loadtests.observation import SCHEMA
from fairtrial_loadtests.plan import Arrivals

DURATION = 6.0


def schedule(share=None, *, rate=100.0, process="poisson"):
    of = {"of": share} if share else {}
    return Schedule(Arrivals(rate, process, DURATION), seed=3, rows=50, arms=2, share=0.2, **of)


def sends(items):
    return [item for item in items if isinstance(item, Send)]


def table(some):
    columns = {name: [None] * len(some) for name in SCHEMA.names}
    columns |= {
        "arm": [str(send.arm) for send in some],
        "time": [send.time for send in some],
        "latency": [0.01] * len(some),
        "status": [200] * len(some),
        "id": [f"{send.arrival}-{send.arm}" for send in some],
        "row": [send.row for send in some],
    }
    return pa.table(columns, schema=SCHEMA)


def told_by(share, *, first=0, every=7):
    """What a share tells, as a worker does: after every few of its boundaries, all before it."""
    held, boundaries = [], 0
    for item in schedule(share).sends(first):
        if isinstance(item, Send):
            held.append(item)
            continue
        boundaries += 1
        if boundaries % every == 0 or item.time == math.inf:
            yield table(held), item
            held = []


def merge(merger, sources):
    """Let the shares tell in an order of chance."""
    chance = random.Random(5)
    taken = []
    waiting = dict(enumerate(sources))
    while waiting:
        share = chance.choice(list(waiting))
        told = next(waiting[share], None)
        if told is None:
            del waiting[share]
        else:
            merger.add(share, *told)
            taken.append((merger.due(), merger.boundary))
    return taken


@pytest.mark.parametrize("process", ["poisson", "constant"])
@pytest.mark.parametrize("of", [2, 3, 7])
@pytest.mark.parametrize("first", [0, 101])
def test_shares_send_together_what_one_process_sends(of, first, process):
    whole = sends(schedule(process=process).sends(first))
    shares = [sends(schedule(Share(k, of), process=process).sends(first)) for k in range(of)]
    assert sorted(send for share in shares for send in share) == whole
    for k, share in enumerate(shares):
        assert {send.arrival % of for send in share} == {k}


def test_all_shares_end_before_the_same_arrival_and_count_from_the_same_time():
    last = [list(schedule(Share(k, 3)).sends())[-1] for k in range(3)]
    assert set(last) == {list(schedule().sends())[-1]}
    assert {schedule(Share(k, 3)).time_before(100) for k in range(3)} == {schedule().time_before(100)}


@pytest.mark.parametrize("of", [1, 2, 5])
@pytest.mark.parametrize("first", [0, 77])
def test_merged_shares_are_the_stream_of_one_process_cut_between_arrivals(of, first):
    merger = Merger(schedule(), first, of)
    taken = merge(merger, [told_by(Share(k, of), first=first, every=3 + k) for k in range(of)])
    merged = pa.concat_tables([part for part, _ in taken])
    whole = table(sends(schedule().sends(first)))
    assert merged.equals(whole)
    assert merger.boundary == list(schedule().sends())[-1]
    pieces = [(part, boundary) for part, boundary in taken if part.num_rows]
    assert len(pieces) > 5, "it all came at the end"
    for part, boundary in pieces:
        arrivals = [int(each.partition("-")[0]) for each in part["id"].to_pylist()]
        assert max(arrivals) < boundary.arrival
    counts = np.cumsum([part.num_rows for part, _ in pieces])
    assert [boundary.arrival for _, boundary in pieces] == [
        len({each.partition("-")[0] for each in merged["id"].to_pylist()[:n]}) + first for n in counts
    ], "a part has half an arrival"


def test_a_share_that_lags_holds_back_what_comes_after():
    merger = Merger(schedule(), 0, 2)
    for told in told_by(Share(0, 2)):
        merger.add(0, *told)
        assert merger.due().num_rows == 0
    slow = told_by(Share(1, 2), every=20)
    told, reached = next(slow)
    merger.add(1, told, reached)
    due = merger.due()
    assert due.num_rows > 0
    assert due["time"].to_numpy().max() < merger.boundary.time <= reached.time


def test_after_a_share_is_lost_nothing_is_missing_before_the_boundary_that_was_reached():
    merger = Merger(schedule(), 0, 2)
    for told in told_by(Share(0, 2)):
        merger.add(0, *told)
    merger.add(1, *next(told_by(Share(1, 2), every=20)))
    before = merger.due()
    following = Merger(schedule(), merger.boundary.arrival, 1)  # the other takes up all
    after = merge(following, [told_by(Share(0, 1), first=merger.boundary.arrival)])
    merged = pa.concat_tables([before, *(part for part, _ in after)])
    assert merged.equals(table(sends(schedule().sends())))


def test_asked_to_stop_all_shares_end_at_one_boundary_of_the_whole_schedule():
    merger = Merger(schedule(), 0, 3)
    stop = merger.boundary_after(2.5)
    assert stop.time >= 2.5
    assert merger.boundary_after(2.5) == stop
    for k in range(3):
        mine = [send for send in sends(schedule(Share(k, 3)).sends()) if send.time < stop.time]
        following = next(n for n in range(stop.arrival, stop.arrival + 3) if n % 3 == k)
        merger.add(k, table(mine), Boundary(math.inf, following))
    assert merger.due().equals(
        table([send for send in sends(schedule().sends()) if send.arrival < stop.arrival])
    )
    assert merger.boundary == stop


def test_what_a_share_sent_past_the_common_end_is_left_out():
    merger = Merger(schedule(), 0, 2)
    ahead, behind = (
        [send for send in sends(schedule(Share(k, 2)).sends()) if send.time < limit]
        for k, limit in ((0, 3.0), (1, 2.0))
    )
    merger.add(0, table(ahead), Boundary(math.inf, max(send.arrival for send in ahead) + 2))
    merger.add(1, table(behind), Boundary(math.inf, max(send.arrival for send in behind) + 2))
    due = merger.due()
    arrivals = {int(each.partition("-")[0]) for each in due["id"].to_pylist()}
    assert arrivals == set(range(merger.boundary.arrival))
    assert merger.boundary.time <= 2.1
