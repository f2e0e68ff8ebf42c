"""Why: the sentences of a verdict. The first begins with the decision."""

from __future__ import annotations

from fairtrial.judge.case import Case
from fairtrial.judge.decision import Cause, Outcome
from fairtrial.judge.gates import requests_of
from fairtrial.judge.sentences import crossed_sentence, open_sentence, uncapped_sentence
from fairtrial.judge.wording import count, listed, metric_label, percent, seconds


def reasons(case: Case, outcome: Outcome) -> tuple[str, ...]:
    """Sentences with figures, the decisive one first."""
    names = (case.baseline, case.candidate, case.level)
    looks = case.looks
    harm = [crossed_sentence(look, look.against, *names) for look in looks if look.against.state.crossed]
    shown = [crossed_sentence(look, look.favour, *names) for look in looks if look.favour.state.crossed]
    still_open = [open_sentence(look, *names) for look in looks if not look.favour.state.crossed]
    closed_gates = [gate.message for gate in case.gates if not gate.passed]
    match outcome.cause:
        case Cause.ABORT:
            sentences = [_abort(case), *harm, *closed_gates]
        case Cause.HARM:
            sentences = [*harm, *closed_gates]
        case Cause.PROVEN:
            sentences = [_proven(case), *shown]
        case Cause.MISMATCH:
            sentences = [*closed_gates, "Figures from a split that went wrong prove nothing about a model."]
        case Cause.NO_TRAFFIC:
            lead = f"no requests reached {case.candidate}, and no traffic is no evidence."
            sentences = [lead, *closed_gates]
        case Cause.SETTLED:
            lead = f"no more data of this plan can show that {case.candidate} deserves promotion."
            sentences = [lead, *still_open, *shown, *closed_gates]
        case Cause.HORIZON:
            sentences = [_horizon(case), *closed_gates, *still_open, *shown]
        case Cause.OPEN:
            sentences = [_progress(case)]
    if outcome.cause in (Cause.SETTLED, Cause.HORIZON, Cause.NO_TRAFFIC) and case.spec.bound:
        sentences.append(case.spec.bound)
    if outcome.cause is not Cause.OPEN:
        raw = (uncapped_sentence(look, case.baseline, case.candidate) for look in looks)
        sentences += [sentence for sentence in raw if sentence is not None]
    return (f"{outcome.decision.value}: {sentences[0]}", *sentences[1:])


def _abort(case: Case) -> str:
    return (
        f"{count(case.errors)} of {count(case.requests)} requests to {case.candidate} failed, "
        f"{percent(case.errors / case.requests)}, which is over the abort limit of "
        f"{percent(case.spec.abort_error_rate or 0.0)}."
    )


def _proven(case: Case) -> str:
    parts: list[str] = []
    for role, word in (("objective", "met"), ("guardrail", "safe")):
        labels = [metric_label(metric) for metric in case.spec.metrics if metric.role == role]
        if labels:
            several = len(labels) > 1
            parts.append(f"{role}{'s' * several} {listed(labels)} {'are' if several else 'is'} {word}")
    return f"for {case.candidate}, {listed(parts)}."


def _horizon(case: Case) -> str:
    requests = listed(
        [
            f"{count(requests_of(case.evidence, arm))} requests to {arm}"
            for arm in (case.baseline, case.candidate)
        ]
    )
    seen = f"after {seconds(case.elapsed)} of traffic, {requests}"
    undecided = [metric_label(look.metric) for look in case.looks if not look.favour.state.crossed]
    if undecided:
        return f"{seen}, the evidence does not settle {listed(undecided)}."
    return f"{seen}, every claim holds, but a check did not pass."


def _progress(case: Case) -> str:
    parts: list[str] = []
    for look in case.looks:
        state, label = look.favour.state, metric_label(look.metric)
        if state.crossed:
            parts.append(f"{label} is {look.favour.claim.name}")
        elif look.waiting is not None:
            parts.append(f"{label} waits for data")
        elif state.boundary is None:
            parts.append(f"{label} is open")
        else:
            parts.append(f"{label} is at z {state.statistics[-1]:.2f} of {state.boundary:.2f}")
    return f"{listed(parts)}."
