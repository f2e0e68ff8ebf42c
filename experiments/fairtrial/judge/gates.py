"""What must be in order before a candidate may be promoted, whatever its metrics say."""

from __future__ import annotations

import math

import numpy as np

from fairtrial.judge.evidence import Evidence, Excluded, Exclusion
from fairtrial.judge.machine import machine_gate
from fairtrial.judge.spec import JudgeSpec, MetricSpec
from fairtrial.judge.verdict import Gate, SampleRatio
from fairtrial.judge.wording import count, metric_label, number, percent, seconds
from fairtrial.stats.sample_ratio import chi_squared_p, dirichlet_log_e_values

#: Part of an arm's values that may be unusable (NaN, infinite, negative latency), and by which the
#: candidate may lack more values than the baseline, for whatever reason.
_TOLERATED_LACK = 0.05
#: Part of the baseline's requests that may fail, and requests before that is known.
_BROKEN, _KNOWN = 0.5, 20
_LACKING = (Exclusion.UNUSABLE_VALUE, Exclusion.ABSENT_VALUE, Exclusion.FAILED)


def requests_of(evidence: Evidence, arm: str) -> int:
    """Requests that an arm got after the warm-up."""
    return int(evidence.requests[:, evidence.arm(arm)].sum())


def sample_ratio(spec: JudgeSpec, evidence: Evidence, candidate: str) -> SampleRatio | None:
    """Whether the split divided traffic as told: a product of Dirichlet e-values over segments.

    Pairs are a segment of their own: which half is missing must be a fair coin. None without anything
    to go by.
    """
    segments = [name for name in evidence.units if name in spec.weights]
    counts = [evidence.units[name] for name in segments]
    shares = [np.array([spec.weights[name].get(arm, 0.0) for arm in evidence.arms]) for name in segments]
    names = [f"segment {name}" for name in segments]
    halves = evidence.missing_halves[evidence.arm(candidate) - 1]
    log_e = [float(dirichlet_log_e_values(c, s)) for c, s in zip(counts, shares, strict=True)]
    if halves.sum():
        names.append("pairs, of which one half is missing")
        log_e.append(float(dirichlet_log_e_values(halves, [0.5, 0.5])))
    if not log_e:
        return None
    threshold = 1 / spec.sample_ratio_alpha
    total = sum(log_e)
    mismatch = total >= math.log(threshold)
    observed = np.sum(counts, axis=0) if counts else np.zeros(len(evidence.arms), np.int64)
    expected = sum(
        (s / s.sum() * c.sum() for s, c in zip(shares, counts, strict=True)), np.zeros(observed.size)
    )
    units = int(observed.sum())
    return SampleRatio(
        expected={
            arm: float(value) / units for arm, value in zip(evidence.arms, expected, strict=True) if units
        },
        observed={arm: int(value) for arm, value in zip(evidence.arms, observed, strict=True)},
        e_value=math.exp(min(total, 700.0)),
        threshold=threshold,
        mismatch=mismatch,
        where=names[int(np.argmax(log_e))] if mismatch else None,
        missing_halves=int(halves.sum()),
        p_value=chi_squared_p(np.array(counts), np.array(shares)) if counts else None,
    )


def gates(spec: JudgeSpec, evidence: Evidence, candidate: str, ratio: SampleRatio | None) -> tuple[Gate, ...]:
    """Every gate, passed or not."""
    made = [_minimum_data(spec, evidence, candidate), _usable_values(spec, evidence, candidate)]
    if ratio is not None:
        made.insert(0, _sample_ratio_gate(ratio))
    if spec.warm_up > 0:
        made.append(_warm_up(spec, evidence))
    if spec.full_cycle > 0:
        made.append(_full_cycle(spec, evidence))
    if spec.load_cycle > 0:
        made.append(_whole_load(spec, evidence))
    if spec.last_segment is not None:
        made.append(_last_step(evidence, candidate, spec.last_segment))
    machine = machine_gate(spec, evidence)
    if machine is not None:
        made.append(machine)
    broken = _broken_baseline(spec, evidence)
    return (*made, broken) if broken else tuple(made)


def _sample_ratio_gate(ratio: SampleRatio) -> Gate:
    figures = f"e-value {number(ratio.e_value)}, alarm at {number(ratio.threshold)}"
    if not ratio.mismatch:
        return Gate("sampleRatio", True, f"The split went as its weights say ({figures}).")
    observed = ", ".join(f"{arm} {count(n)}" for arm, n in ratio.observed.items())
    expected = ", ".join(f"{arm} {percent(share)}" for arm, share in ratio.expected.items())
    return Gate(
        "sampleRatio",
        False,
        f"Sample ratio mismatch in {ratio.where}: the split gave {observed} where {expected} was meant "
        f"({figures}).",
    )


def _minimum_data(spec: JudgeSpec, evidence: Evidence, candidate: str) -> Gate:
    arm = min((spec.baseline, candidate), key=lambda name: requests_of(evidence, name))
    least = requests_of(evidence, arm)
    return Gate(
        "minimumData",
        least >= spec.min_observations,
        f"{arm} has {count(least)} requests; {count(spec.min_observations)} are needed before a first look.",
    )


def _usable_values(spec: JudgeSpec, evidence: Evidence, candidate: str) -> Gate:
    """An arm that gives no usable value where it does badly would look good on the rest."""
    for metric in spec.metrics:
        lacking = [_share(evidence, metric, arm, _LACKING) for arm in (spec.baseline, candidate)]
        for arm in (spec.baseline, candidate):
            unusable = _share(evidence, metric, arm, (Exclusion.UNUSABLE_VALUE,))
            if unusable > _TOLERATED_LACK:
                return _unfair(metric, f"cannot be used in {percent(unusable)} of the requests to {arm}")
        if lacking[1] - lacking[0] > _TOLERATED_LACK:
            return _unfair(
                metric,
                f"is missing in {percent(lacking[1])} of the requests to {candidate}, "
                f"against {percent(lacking[0])} of those to {spec.baseline}",
            )
    return Gate("usableValues", True, "The metrics' values can be used.")


def _broken_baseline(spec: JudgeSpec, evidence: Evidence) -> Gate | None:
    """An outage of the baseline is no merit of the candidate's."""
    requests = requests_of(evidence, spec.baseline)
    failed = int(evidence.errors[:, evidence.arm(spec.baseline)].sum())
    if requests < _KNOWN or failed <= _BROKEN * requests:
        return None
    return Gate(
        "baselineAnswers",
        False,
        f"{percent(failed / requests)} of the requests to {spec.baseline} failed: "
        f"beating that proves nothing.",
    )


def _full_cycle(spec: JudgeSpec, evidence: Evidence) -> Gate:
    """Hours and days differ: a part of a cycle is no sample of it."""
    seen = _clock(evidence)
    return Gate(
        "fullCycle",
        seen >= spec.full_cycle,
        f"{seconds(seen)} of a full cycle of {seconds(spec.full_cycle)} were seen.",
    )


def _whole_load(spec: JudgeSpec, evidence: Evidence) -> Gate:
    """Before the peak of a load nothing is known of it, and a run that is down comes no nearer to it."""
    seen = _clock(evidence) - _down(spec, evidence)
    return Gate(
        "wholeLoad",
        seen >= spec.load_cycle,
        f"{seconds(seen)} of the {seconds(spec.load_cycle)} of a load that changes were seen.",
    )


def _clock(evidence: Evidence) -> float:
    if evidence.origin is None or evidence.latest is None:
        return 0.0
    return evidence.latest - evidence.origin


def _down(spec: JudgeSpec, evidence: Evidence) -> float:
    """Seconds without a request, beyond those that the load has by itself: a run was killed, and resumed.

    Whole time batches: of a pause, up to one more than `load_gap` counts as load.
    """
    batches = np.unique(np.array([stratum.batch for stratum in evidence.strata], np.int64))
    gaps = np.diff(batches, prepend=math.floor(spec.warm_up / spec.batch_seconds))
    own = max(1, math.ceil(spec.load_gap / spec.batch_seconds))
    return float(np.maximum(gaps - own, 0).sum()) * spec.batch_seconds


def _last_step(evidence: Evidence, candidate: str, segment: str) -> Gate:
    """What holds at a tenth of the users' requests need not hold at the weight that comes before all."""
    arm = evidence.arm(candidate)
    answered = sum(
        int(row[arm])
        for stratum, row in zip(evidence.strata, evidence.requests, strict=True)
        if stratum.segment == segment
    )
    return Gate(
        "lastStep", answered > 0, f"{candidate} has answered {count(answered)} requests in {segment}."
    )


def _share(evidence: Evidence, metric: MetricSpec, arm: str, reasons: tuple[Exclusion, ...]) -> float:
    """Part of an arm's requests whose value was kept out for one of these reasons."""
    lacking = sum(evidence.excluded[Excluded(reason, metric.name, arm)] for reason in reasons)
    return lacking / max(requests_of(evidence, arm), 1)


def _unfair(metric: MetricSpec, what: str) -> Gate:
    message = (
        f"{metric_label(metric)} {what} ({percent(_TOLERATED_LACK)} are tolerated): "
        f"what is left is no fair sample."
    )
    return Gate("usableValues", False, message)


def _warm_up(spec: JudgeSpec, evidence: Evidence) -> Gate:
    cut = evidence.excluded[Excluded(Exclusion.WARM_UP)]
    over = bool(evidence.requests.sum())
    return Gate(
        "warmUp", over, f"The first {seconds(spec.warm_up)} are warm-up; {count(cut)} requests were cut."
    )
