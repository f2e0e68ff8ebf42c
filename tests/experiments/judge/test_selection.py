"""Several candidates: each judged against the baseline, the best of those that pass taken."""

import dataclasses

import numpy as np
import pyarrow as pa
from experiments.streams import ACCURACY, Load, chunks, spec
from fairtrial.judge.boundaries import alpha_of
from fairtrial.judge.geometry import claims_of
from fairtrial.judge.verdict import Decision, Verdict
from fairtrial.judging import StreamJudge

PLAN = dataclasses.replace(spec(ACCURACY), candidates=("v2", "v3"))


def three_arms(second: float, third: float) -> pa.Table:
    """Triples: the same row to all three arms."""
    first = Load(accuracy=(0.85, second), split=0.0).table()
    other = Load(accuracy=(0.85, third), split=0.0).table()
    arms = other.column("arm").to_numpy(zero_copy_only=False)
    extra = other.filter(pa.array(arms == "v2"))
    renamed = extra.set_column(
        extra.schema.get_field_index("arm"), "arm", pa.array(np.full(extra.num_rows, "v3"))
    )
    ids = pa.array([f"third-{i}" for i in range(extra.num_rows)])
    renamed = renamed.set_column(extra.schema.get_field_index("id"), "id", ids)
    return pa.concat_tables([first, renamed]).sort_by("time")


def outcome(second: float, third: float) -> tuple[Verdict, StreamJudge]:
    judge = StreamJudge(PLAN)
    for chunk in chunks(three_arms(second, third)):
        for _ in judge.feed(chunk):
            pass
        if judge.done:
            break
    if not judge.done:
        for _ in judge.close():
            pass
    verdict = judge.outcome
    assert verdict is not None
    return verdict, judge


def test_candidates_share_the_rate():
    met = claims_of(ACCURACY)[1]
    assert alpha_of(PLAN, met) == PLAN.alpha / 2


def test_the_best_of_those_that_pass_is_taken_and_marked_as_selected():
    verdict, judge = outcome(0.93, 0.98)
    assert [final.decision for final in judge.finals] == [Decision.PROMOTE, Decision.PROMOTE]
    assert (verdict.candidate, verdict.selected_from) == ("v3", 2)
    *_, selected, other = verdict.reasons
    assert selected.startswith("v3 is the best of 2 candidates that passed, with accuracy +")
    assert other.startswith("v2 ended in PROMOTE at look ")


def test_one_that_passes_speaks_for_the_run_although_the_other_is_worse():
    verdict, judge = outcome(0.70, 0.97)
    assert {final.candidate: final.decision for final in judge.finals} == {
        "v2": Decision.ROLLBACK,
        "v3": Decision.PROMOTE,
    }
    assert (verdict.candidate, verdict.selected_from) == ("v3", 1)


def test_a_run_is_rolled_back_only_if_every_candidate_was():
    verdict, _ = outcome(0.70, 0.70)
    assert verdict.decision is Decision.ROLLBACK
