"""On live traffic a promotion comes at the last step only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
from fairtrial.judge.spec import JudgeSpec, Kind, Margin, MetricSpec, Role
from fairtrial.judge.verdict import Decision
from fairtrial.judging import judge_stream

_SPEC = JudgeSpec(
    "v1",
    ("v2",),
    (MetricSpec("accuracy", Kind.BINARY, Role.OBJECTIVE, "score", True, Margin(0.0), max_observations=3000),),
    planned_looks=60,
    max_duration=60.0,
    last_segment="step-2",
)


def _observations(right: float, *, shifted_at: float) -> pa.Table:
    drawn = np.random.default_rng(1)
    size = 6000
    time = np.sort(drawn.uniform(0, 60, size))
    arm = drawn.random(size) < 0.5
    score = np.where(arm, drawn.random(size) < right, drawn.random(size) < 0.7).astype(float)
    return pa.table(
        {
            "arm": np.where(arm, "v2", "v1"),
            "time": 1.75e9 + time,
            "latency": np.full(size, 0.01),
            "status": np.full(size, 200),
            "score": score,
            "segment": np.where(time < shifted_at, "step-1", "step-2"),
        }
    )


def test_a_candidate_that_has_won_waits_for_its_last_step() -> None:
    table = _observations(0.9, shifted_at=30.0)
    *before, last = judge_stream(_SPEC, [table])
    assert last.verdicts[0].decision is Decision.PROMOTE
    assert last.look.elapsed == 31.0
    (gate,) = [gate for gate in before[-1].verdicts[0].gates if gate.name == "lastStep"]
    assert (gate.passed, gate.message) == (False, "v2 has answered 0 requests in step-2.")
    without = list(judge_stream(replace(_SPEC, last_segment=None), [table]))
    assert without[-1].look.elapsed < 10


def test_a_candidate_that_harms_waits_for_nothing() -> None:
    last = list(judge_stream(_SPEC, [_observations(0.5, shifted_at=30.0)]))[-1]
    assert last.verdicts[0].decision is Decision.ROLLBACK
    assert last.look.elapsed < 10
