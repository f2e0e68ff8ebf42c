"""What must be true for a verdict's stated rates to hold, in words."""

from __future__ import annotations

from collections.abc import Iterator

from fairtrial.judge.geometry import claims_against, is_latency
from fairtrial.judge.machine import MARGIN
from fairtrial.judge.spec import JudgeSpec, Kind, Method, Spending
from fairtrial.judge.wording import count, listed, metric_label, number, percent, seconds


def assumptions(spec: JudgeSpec) -> tuple[str, ...]:
    """One sentence each; the stated rates and how they are kept come first."""
    return (_rates(spec), *_shares(spec), _strata(spec), *_of_metrics(spec), *_of_stored(spec))


def _rates(spec: JudgeSpec) -> str:
    rate = percent(spec.alpha)
    sides = (
        f"a harmless candidate is rolled back at most {rate} of the time, and one that deserves no promotion "
        f"is promoted at most {rate} of the time."
    )
    match spec.method:
        case Method.SEQUENTIAL:
            return f"However often the evidence is looked at up to the horizon, {sides}"
        case Method.ALWAYS_VALID:
            return f"However often and however long the evidence is looked at, {sides}"
        case Method.GROUP_SEQUENTIAL:
            spent = "O'Brien and Fleming" if spec.spending is Spending.OBRIEN_FLEMING else "Pocock"
            looks = f"{spec.planned_looks} planned looks, the rate spent as by {spent} (Lan and DeMets)"
            return f"Over {looks}, {sides}"
        case Method.FIXED_HORIZON:
            return f"Judged once, when all the data are there: {sides}"


def _shares(spec: JudgeSpec) -> Iterator[str]:
    """How the rate is divided, where it is, and that all claims are one-sided."""
    against = claims_against(spec)
    arms = len(spec.candidates)
    one = "Every claim is one-sided; a promotion needs all of its claims, each at the full rate"
    share = percent(spec.alpha / arms / against)
    if against > 1 or arms > 1:
        among = listed(
            [f"{count(against)} metrics"] * (against > 1) + [f"{count(arms)} candidates"] * (arms > 1)
        )
        each = f", divided by the {count(arms)} candidates" if arms > 1 else ""
        yield f"{one}{each}, and any one claim of harm ends it, each at {share} (Bonferroni over {among})."
    else:
        yield f"{one}."
    if arms > 1:
        yield (
            "Of several candidates that pass, the best is taken, and its estimate is too good on average "
            "because it was selected."
        )


def _strata(spec: JudgeSpec) -> str:
    return (
        f"Arms are compared within segments of the split and time batches of {seconds(spec.batch_seconds)}."
    )


def _of_stored(spec: JudgeSpec) -> Iterator[str]:
    if spec.stored is None:
        return
    yield f"The baseline's answers are those of {spec.stored.run}, at another time."
    if any(is_latency(metric) for metric in spec.metrics):
        yield (
            f"Latencies of the two runs differ by the machine no more than its speed does, and that by "
            f"{percent(MARGIN)} at most, as the reference has to show; a regression may be so much "
            f"larger than it seems."
        )


def _of_metrics(spec: JudgeSpec) -> Iterator[str]:
    metrics = spec.metrics
    if any(metric.kind is Kind.QUANTILE or metric.kind is Kind.BINARY for metric in metrics):
        yield "A failed request counts as infinitely slow and as a wrong answer."
    if any(metric.once_per_row for metric in metrics):
        yield "A row of the data set is scored once, however often it is sent."
    if any(metric.paired for metric in metrics):
        yield "Paired metrics compare the answers of both arms to the same row."
    if any(metric.by_unit for metric in metrics):
        yield "Users are independent of each other; the requests of one need not be."
    if any(is_latency(metric) for metric in metrics):
        yield "Latencies are independent between time batches; within one they may be alike."
    if any(metric.kind is Kind.MEAN for metric in metrics):
        yield "Means are compared by a normal approximation."
    if any(metric.kind is Kind.RATIO for metric in metrics):
        yield "Ratios are compared by the delta method."
    if any(metric.kind is Kind.COUNT for metric in metrics):
        yield "Counts are compared given their total, as of Poisson processes; more scatter is measured."
    for metric in metrics:
        if metric.cap is not None:
            cap = seconds(metric.cap) if metric.column == "latency" else number(metric.cap)
            yield f"Values of {metric_label(metric)} above {cap} count as {cap}."
        if metric.covariate is not None:
            yield f"{metric_label(metric)} is adjusted for {metric.covariate}, known beforehand (CUPED)."
