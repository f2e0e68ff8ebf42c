"""The judge: gates, scores, boundaries, claims, decision, reasons. A pure function of its arguments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fairtrial.judge.assumptions import assumptions
from fairtrial.judge.case import Case
from fairtrial.judge.claims import Judged, MetricLook, claims_after, look_at_metric, p_value
from fairtrial.judge.compare import compare
from fairtrial.judge.decision import decide
from fairtrial.judge.evidence import Evidence
from fairtrial.judge.gates import gates, requests_of, sample_ratio
from fairtrial.judge.geometry import check_spec, is_latency, most_looks, reporting_buckets
from fairtrial.judge.notes import notes
from fairtrial.judge.reasons import reasons
from fairtrial.judge.sentences import claim_sentence
from fairtrial.judge.spec import JudgeSpec
from fairtrial.judge.state import State
from fairtrial.judge.verdict import ArmSummary, ClaimResult, Decision, MetricResult, Uncapped, Verdict
from fairtrial.judge.wording import unit_of

#: Version of the rules in this package. It changes whenever the same evidence may get another verdict.
RULES = "2"

#: Why a latency waits where the gate of the machine is closed, which says more.
_OTHER_MACHINE = "latencies of the two runs cannot be compared now"


def judge(
    spec: JudgeSpec, state: State, evidence: Evidence, *, last: bool = False
) -> tuple[State, tuple[Verdict, ...]]:
    """Take one more look, at all the evidence so far.

    last: there will be no later look, although the duration is not over.
    Returns the state to hand in at the next look, and a verdict on each candidate that had no final one.
    Raises ValueError if the spec cannot be judged, or the evidence is of other arms.
    """
    check_spec(spec)
    if evidence.arms != (spec.baseline, *spec.candidates):
        raise ValueError(f"the evidence is on {evidence.arms}, not on the arms of the spec")
    state = replace(state, look=state.look + 1)
    horizon = last or state.look >= most_looks(spec)
    verdicts: list[Verdict] = []
    for candidate in spec.candidates:
        if candidate not in state.decisions:
            state, verdict = _judge_candidate(spec, state, evidence, candidate, horizon=horizon)
            verdicts.append(verdict)
    return state, tuple(verdicts)


def _judge_candidate(
    spec: JudgeSpec, state: State, evidence: Evidence, candidate: str, *, horizon: bool
) -> tuple[State, Verdict]:
    ratio = sample_ratio(spec, evidence, candidate)
    checked = gates(spec, evidence, candidate, ratio)
    closed = {gate.name: gate.message for gate in checked if not gate.passed}
    waiting = closed.get("minimumData")
    looks = tuple(
        look_at_metric(
            spec,
            state,
            compare(metric, evidence, candidate),
            candidate,
            waiting=waiting or (_OTHER_MACHINE if "sameMachine" in closed and is_latency(metric) else None),
            horizon=horizon,
        )
        for metric in spec.metrics
    )
    elapsed = state.look * spec.look_interval if evidence.origin is not None else 0.0
    case = Case(spec, evidence, candidate, looks, checked, elapsed, horizon)
    outcome = decide(case)
    decisions = state.decisions
    final = outcome.decision is not Decision.CONTINUE
    if final:
        decisions = {**decisions, candidate: outcome.decision}
    verdict = Verdict(
        decision=outcome.decision,
        reasons=reasons(case, outcome),
        baseline=spec.baseline,
        candidate=candidate,
        look=state.look,
        elapsed=elapsed,
        arms=tuple(_summary(evidence, arm) for arm in (spec.baseline, candidate)),
        metrics=tuple(_metric_result(case, look, final=final) for look in looks),
        sample_ratio=ratio,
        gates=checked,
        method=spec.method,
        assumptions=assumptions(spec),
        rules=RULES,
        notes=notes(evidence),
    )
    return replace(state, claims=claims_after(state, candidate, looks), decisions=decisions), verdict


def _summary(evidence: Evidence, name: str) -> ArmSummary:
    arm = evidence.arm(name)
    counts = evidence.latencies[arm] if evidence.latencies.size else np.zeros(0, np.int64)
    return ArmSummary(
        name=name,
        requests=requests_of(evidence, name),
        errors=int(evidence.errors[:, arm].sum()),
        latency_p50=_quantile(counts, 0.5),
        latency_p99=_quantile(counts, 0.99),
    )


def _quantile(counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]], q: float) -> float | None:
    """The geometric middle of the bucket that holds the quantile, within 1%; None without latencies."""
    total = int(counts.sum())
    if not total:
        return None
    buckets = reporting_buckets()
    at = int(np.searchsorted(np.cumsum(counts), q * total))
    return float(buckets.low * buckets.ratio ** (min(max(at, 0), buckets.inner) - 0.5))


def _metric_result(case: Case, look: MetricLook, *, final: bool) -> MetricResult:
    """p-values are worth their cost in a final verdict only."""
    metric, effect = look.metric, look.effect
    n_baseline, n_candidate = look.comparison.sizes
    return MetricResult(
        name=metric.name,
        role=metric.role.value,
        kind=metric.kind.value,
        method=case.spec.method,
        n_baseline=n_baseline,
        n_candidate=n_candidate,
        n_pairs=look.comparison.compared if metric.paired else None,
        baseline=effect.baseline if effect else None,
        candidate=effect.candidate if effect else None,
        effect=effect.effect if effect else None,
        interval=look.interval,
        level=case.level,
        relative=metric.margin.relative,
        margin=metric.margin.value,
        higher_is_better=metric.higher_is_better,
        claims=tuple(
            _claim_result(
                judged,
                claim_sentence(metric, judged.claim, case.baseline, case.candidate),
                p_value(case.spec, judged) if final else None,
            )
            for judged in look.judged
        ),
        waiting=look.waiting,
        quantile=metric.quantile,
        column=metric.column,
        slo=metric.slo,
        unit=unit_of(metric),
        test=look.favour.state.test,
        effective_size=look.comparison.effective_size if final else None,
        uncapped=_uncapped(look) if final else None,
        standard_error=effect.standard_error if effect else None,
    )


def _uncapped(look: MetricLook) -> Uncapped | None:
    effect = look.comparison.uncapped_effect()
    if effect is None or look.metric.cap is None:
        return None
    return Uncapped(look.metric.cap, effect.baseline, effect.candidate, effect.effect)


def _claim_result(judged: Judged, sentence: str, p: float | None) -> ClaimResult:
    return ClaimResult(
        claim=judged.claim.name,
        sentence=sentence,
        statistic=judged.statistic,
        boundary=judged.boundary,
        alpha=judged.alpha,
        information=judged.state.information,
        crossed=judged.state.crossed,
        crossed_at_look=judged.state.crossed_at_look,
        p_value=p,
        looks=len(judged.state.fractions),
    )
