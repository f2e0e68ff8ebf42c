"""What a verdict rests on besides its figures: what was kept out, and what was assumed."""

from __future__ import annotations

from collections.abc import Mapping

from fairtrial.judge.evidence import Evidence, Excluded, Exclusion
from fairtrial.judge.geometry import is_latency
from fairtrial.judge.spec import JudgeSpec, Kind
from fairtrial.judge.wording import count, percent, seconds

_SENTENCES: Mapping[Exclusion, str] = {
    Exclusion.NO_TIME: "{n} observation{s} without a time in seconds since the epoch {were} kept out.",
    Exclusion.CLOCK_BACKWARDS: (
        "{n} observation{s} that came after their look was over, as if the clock had gone backwards, "
        "{were} kept out."
    ),
    Exclusion.UNKNOWN_ARM: "{n} observation{s} of no arm of this experiment {were} kept out.",
    Exclusion.DUPLICATE: "{n} observation{s} with the id of an earlier one {were} kept out.",
    Exclusion.DUPLICATE_HALF: "{n} repeated half-pair{s} {were} left out of the pairs.",
    Exclusion.WARM_UP: "{n} request{s} of the warm-up {were} cut.",
    Exclusion.UNUSABLE_VALUE: (
        "{n} value{s} of {metric} of {arm} that cannot be used (not a number, infinite, or out of range) "
        "{were} kept out."
    ),
    Exclusion.FAILED: (
        "{n} failed request{s} of {arm} {were} left out of {metric}: a mean is of answered requests only."
    ),
    Exclusion.UNNUMBERED_ROW: (
        "{n} value{s} of {metric} without a row number {were} each counted as a new row."
    ),
    Exclusion.ABSENT_VALUE: "{n} answer{s} of {arm} without a value of {metric} {were} left out of it.",
}


def notes(evidence: Evidence) -> tuple[str, ...]:
    """What was kept out of the evidence, in words with figures; the most frequent first."""
    return tuple(note(excluded, n) for excluded, n in evidence.excluded.most_common())


def note(excluded: Excluded, n: int) -> str:
    """One kind of exclusion."""
    return _SENTENCES[excluded.reason].format(
        n=count(n),
        s="" if n == 1 else "s",
        were="was" if n == 1 else "were",
        metric=excluded.metric,
        arm=excluded.arm,
    )


def assumptions(spec: JudgeSpec) -> tuple[str, ...]:
    """What must be true for the stated rates to hold."""
    rate = percent(spec.alpha)
    made = [
        f"However often the evidence is looked at, a harmless candidate is rolled back at most {rate} of the "
        f"time, and one that deserves no promotion is promoted at most {rate} of the time.",
        f"Arms are compared within segments of the split and time batches of {seconds(spec.batch_seconds)}.",
        "A failed request counts as infinitely slow and as a wrong answer.",
    ]
    if any(metric.once_per_row for metric in spec.metrics):
        made.append("A row of the data set is scored once, however often it is sent.")
    if any(metric.paired for metric in spec.metrics):
        made.append("Paired metrics compare the answers of both arms to the same row.")
    if any(is_latency(metric) for metric in spec.metrics):
        made.append("Latencies are independent between time batches; within one they may be alike.")
    if any(metric.kind is Kind.MEAN for metric in spec.metrics):
        made.append("Means are compared by a normal approximation.")
    return tuple(made)
