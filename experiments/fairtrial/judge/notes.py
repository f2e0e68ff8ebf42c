"""What was kept out of the evidence, in words."""

from __future__ import annotations

from collections.abc import Mapping

from fairtrial.judge.evidence import Evidence, Excluded, Exclusion
from fairtrial.judge.wording import count

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
    Exclusion.SWITCHED_UNIT: "{n} unit{s} seen on more than one arm {were} counted on the first one only.",
}


def notes(evidence: Evidence) -> tuple[str, ...]:
    """What makes the source weak; then what was kept out, with figures, the most frequent first."""
    kept_out = (note(excluded, n) for excluded, n in evidence.excluded.most_common())
    return (*evidence.weaknesses, *kept_out)


def note(excluded: Excluded, n: int) -> str:
    """One kind of exclusion."""
    return _SENTENCES[excluded.reason].format(
        n=count(n),
        s="" if n == 1 else "s",
        were="was" if n == 1 else "were",
        metric=excluded.metric,
        arm=excluded.arm,
    )
