"""Of several candidates, each with its final verdict, the one that speaks for the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fairtrial.judge.compare import compare
from fairtrial.judge.evidence import Evidence
from fairtrial.judge.spec import JudgeSpec, MetricSpec, Role
from fairtrial.judge.verdict import Decision, Verdict
from fairtrial.judge.wording import count, effect_of, listed, metric_label

#: Who speaks when nobody passes: a run is rolled back only if every candidate was.
_WEIGHT = {Decision.PROMOTE: 3, Decision.CONTINUE: 2, Decision.INCONCLUSIVE: 1, Decision.ROLLBACK: 0}


def select(spec: JudgeSpec, evidence: Evidence, finals: Sequence[Verdict]) -> Verdict:
    """The verdict of the run.

    All candidates that passed are compared at the same time, when the last verdict is final, by the
    evidence of that time: the first objective's effect decides (else the first metric's), and ties go to
    the candidate that the file names first. Raises ValueError without a verdict.
    """
    if not finals:
        raise ValueError("there is no verdict to select from")
    best = _best(spec, evidence, finals)
    others = tuple(_of_other(verdict) for verdict in finals if verdict.candidate != best.candidate)
    return replace(best, reasons=(*best.reasons, *others))


def _best(spec: JudgeSpec, evidence: Evidence, finals: Sequence[Verdict]) -> Verdict:
    passed = [verdict for verdict in finals if verdict.decision is Decision.PROMOTE]
    if len(passed) < 2:
        return max(finals, key=lambda verdict: _WEIGHT[verdict.decision])
    metric = next((m for m in spec.metrics if m.role is Role.OBJECTIVE), spec.metrics[0])
    effects = {verdict.candidate: _effect(metric, evidence, verdict.candidate) for verdict in passed}
    sign = 1 if metric.higher_is_better else -1
    best = max(passed, key=lambda verdict: sign * effects[verdict.candidate])
    figures = {name: f"{effect_of(metric, effect)}" for name, effect in effects.items()}
    others = listed([f"{figures[v.candidate]} of {v.candidate}" for v in passed if v is not best])
    sentence = (
        f"{best.candidate} is the best of {count(len(passed))} candidates that passed, with "
        f"{metric_label(metric)} {figures[best.candidate]} against {others}; the estimate of one that was "
        f"selected is too good on average."
    )
    return replace(best, reasons=(*best.reasons, sentence), selected_from=len(passed))


def _of_other(verdict: Verdict) -> str:
    """What became of a candidate that does not speak for the run."""
    lead = verdict.reasons[0].removeprefix(f"{verdict.decision.value}: ")
    return f"{verdict.candidate} ended in {verdict.decision.value} at look {verdict.look}: {lead}"


def _effect(metric: MetricSpec, evidence: Evidence, candidate: str) -> float:
    effect = compare(metric, evidence, candidate).effect()
    return effect.effect if effect is not None else float("-inf") if metric.higher_is_better else float("inf")
