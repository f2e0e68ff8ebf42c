"""`warmUp: auto`: the slow start is found, cut, and kept out of the verdict."""

import dataclasses

import numpy as np
import pyarrow as pa
from experiments.streams import ERRORS, LATENCY, START, Load, chunks, spec
from fairtrial.judging import StreamJudge, judge_stream
from fairtrial.warm_up import WarmUpFinder

PLAN = dataclasses.replace(spec(LATENCY, ERRORS), auto_warm_up=True)


def slow_start(seconds: float) -> pa.Table:
    """Latencies that begin ten times too long and settle within this time."""
    table = Load().table()
    time = table.column("time").to_numpy()
    factor = 1 + 9 * np.exp(-(time - START) / max(seconds / 4, 1e-9)) if seconds else 1.0
    latency = table.column("latency").to_numpy() * factor
    return table.set_column(table.schema.get_field_index("latency"), "latency", pa.array(latency))


def found(table: pa.Table) -> float:
    finder = WarmUpFinder(PLAN)
    for chunk in chunks(table):
        finder.feed(chunk)
        if finder.enough:
            break
    return finder.seconds()


def test_a_slow_start_is_found():
    assert 3.0 <= found(slow_start(6.0)) <= 9.0


def test_a_steady_start_loses_next_to_nothing():
    assert found(slow_start(0.0)) <= 3.0


def test_without_observations_there_is_no_warm_up():
    assert WarmUpFinder(PLAN).seconds() == 0.0


def test_the_warm_up_is_cut_and_the_verdict_says_how_long_it_was():
    judgements = list(judge_stream(PLAN, chunks(slow_start(6.0))))
    verdict = judgements[-1].verdicts[0]
    gate = next(gate for gate in verdict.gates if gate.name == "warmUp")
    assert "are warm-up" in gate.message
    assert any("of the warm-up were cut" in note for note in verdict.notes)
    assert [judgement.look.number for judgement in judgements] == list(range(1, len(judgements) + 1))


def test_nothing_is_judged_before_the_warm_up_is_known():
    judge = StreamJudge(PLAN)
    early = slow_start(6.0).slice(0, 500)
    assert not [*judge.feed(early)]
    assert [*judge.close()]
