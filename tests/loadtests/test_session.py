"""Who of several that send a load holds it up."""

import math

import pyarrow as pa
import pytest
from fairtrial_loadtests.arrivals import Schedule
from fairtrial_loadtests.messages import Batch, to_bytes
from fairtrial_loadtests.observation import SCHEMA
from fairtrial_loadtests.plan import Arrivals
from fairtrial_loadtests.session import Session

PATIENCE = 15.0


@pytest.fixture
def session():
    schedule = Schedule(Arrivals(100.0, "poisson", 600.0), seed=3, rows=50, arms=2)
    session = Session("key", ["a", "b"], schedule, 0)
    session.begun = 1000.0
    return session


def batch(time, arrival=0, **rest):
    return Batch(to_bytes(SCHEMA.empty_table()), time, arrival, **rest).to_message()


def test_nobody_is_stalled_before_it_has_begun(session):
    session.begun = None
    assert session.stalled(1e9, PATIENCE) == []


def test_a_worker_that_tells_nothing_is_stalled_and_one_that_only_lags_is_not(session):
    session.receive("a", 0, batch(1.0), 1001.0)
    for second in range(2, 40):
        session.receive("b", second - 2, batch(second * 0.1), 1000.0 + second)  # ever further behind
        if second < 16:
            assert session.stalled(1000.0 + second, PATIENCE) == []
    assert session.stalled(1040.0, PATIENCE) == ["a"]


def test_a_worker_with_nothing_to_send_for_long_is_not_stalled_unless_asked_to_stop(session):
    session.receive("a", 0, batch(500.0), 1001.0)
    session.receive("b", 0, batch(500.0), 1001.0)
    assert session.stalled(1400.0, PATIENCE) == []
    session.asked_to_stop = 1390.0
    assert session.stalled(1400.0, PATIENCE) == []
    session.receive("b", 1, batch(math.inf, 7, reason="stop"), 1401.0)
    assert session.stalled(1406.0, PATIENCE) == ["a"]


def test_a_batch_that_comes_twice_or_too_early_is_acknowledged_and_not_taken(session):
    assert session.receive("a", 1, batch(2.0), 1002.0) == -1
    assert session.receive("a", 0, batch(1.0), 1001.0) == 0
    assert session.receive("a", 0, batch(9.0), 1003.0) == 0
    assert session.merger.reached[0].time == 1.0


def test_it_is_over_when_every_share_has_said_its_last_word(session):
    session.receive("a", 0, batch(math.inf, 6, reason="maxDuration"), 1001.0)
    assert not session.over
    session.receive("b", 0, batch(math.inf, 6, reason="maxDuration"), 1001.0)
    assert session.over


def test_it_is_broken_by_a_bug_of_one_worker(session):
    session.receive("a", 0, batch(math.inf, 6, reason="error", bug="KeyError()"), 1001.0)
    assert session.broken
    assert not session.over


def test_what_is_no_batch_is_refused_and_not_acknowledged(session):
    with pytest.raises(KeyError):
        session.receive("a", 0, {"table": b""}, 1001.0)
    with pytest.raises(pa.ArrowInvalid):
        session.receive("b", 0, {**batch(1.0), "table": b"rubbish"}, 1001.0)
    assert session.receive("b", 0, batch(1.0), 1002.0) == 0
