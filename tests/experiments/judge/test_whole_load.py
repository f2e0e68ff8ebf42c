"""A load that changes is promoted once all of it was sent: what counts is load, not time on the clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from fairtrial.judge.spec import JudgeSpec, Kind, Margin, MetricSpec, Role
from fairtrial.judge.verdict import Decision
from fairtrial.judging import Judgement, judge_stream

_SPEC = JudgeSpec(
    "v1",
    ("v2",),
    (MetricSpec("accuracy", Kind.BINARY, Role.OBJECTIVE, "score", True, Margin(0.0), max_observations=9000),),
    planned_looks=120,
    batch_seconds=0.5,
    max_duration=120.0,
    load_cycle=110.0,
    load_gap=0.25,
)


def looks(
    spec: JudgeSpec, *, killed_at: float = 0.0, down: float = 0.0, rate: float = 100.0
) -> list[Judgement]:
    """Of a candidate that is better, with a run that was down for so long."""
    drawn = np.random.default_rng(1)
    size = int(120 * rate)
    time = np.sort(drawn.uniform(0, 120, size))
    arm = drawn.random(size) < 0.5
    table = pa.table(
        {
            "arm": np.where(arm, "v2", "v1"),
            "time": 1.75e9 + np.where(time > killed_at, time + down, time),
            "latency": np.full(size, 0.01),
            "status": np.full(size, 200),
            "score": np.where(arm, drawn.random(size) < 0.95, drawn.random(size) < 0.6).astype(float),
        }
    )
    return list(judge_stream(spec, [table]))


def test_downtime_is_no_part_of_a_load() -> None:
    *before, last = looks(_SPEC, killed_at=10.0, down=300.0)
    assert last.verdicts[0].decision is Decision.PROMOTE
    assert 110 <= last.look.elapsed <= 112
    (gate,) = [gate for gate in before[20].verdicts[0].gates if gate.name == "wholeLoad"]
    assert not gate.passed
    assert gate.message == "20.5 s of the 110 s of a load that changes were seen."
    assert looks(replace(_SPEC, load_cycle=0.0), killed_at=10.0, down=300.0)[-1].look.elapsed < 10


@pytest.mark.parametrize("warm_up", [0.0, 5.0])
def test_a_run_that_never_stopped_has_seen_its_whole_load_when_it_has(warm_up: float) -> None:
    last = looks(replace(_SPEC, warm_up=warm_up))[-1]
    assert last.verdicts[0].decision is Decision.PROMOTE
    assert last.look.elapsed == 111.0


def test_a_run_killed_in_its_warm_up_has_seen_no_more() -> None:
    last = looks(replace(_SPEC, warm_up=5.0), killed_at=4.0, down=300.0)[-1]
    assert 105 <= last.look.elapsed <= 112


def test_the_pauses_that_a_load_has_by_itself_are_load() -> None:
    sparse = replace(_SPEC, load_gap=10.0)
    gate = looks(sparse, rate=2.0)[-1].verdicts[0].gates[-1]
    assert (gate.name, gate.passed) == ("wholeLoad", True)
    gate = looks(replace(sparse, load_gap=0.25), rate=2.0)[-1].verdicts[0].gates[-1]
    assert (gate.name, gate.passed) == ("wholeLoad", False)


def test_a_cycle_that_the_user_names_is_of_the_clock() -> None:
    spec = replace(_SPEC, load_cycle=0.0, full_cycle=300.0)
    last = looks(spec, killed_at=10.0, down=300.0)[-1]
    assert last.verdicts[0].decision is Decision.PROMOTE
    assert last.look.elapsed < 15
