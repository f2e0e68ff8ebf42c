"""Where a metric stands, in one word: what the tables, the tiles and the live view colour by."""

from __future__ import annotations

from enum import Enum

from fairtrial.judge.verdict import ClaimName, ClaimResult, Decision, MetricResult, Verdict

FOR: frozenset[ClaimName] = frozenset({"safe", "met"})
AGAINST: frozenset[ClaimName] = frozenset({"harmed", "worse"})


class Tone(Enum):
    """What a colour means, in the page as in the terminal."""

    GOOD = "good"
    BAD = "bad"
    OPEN = "open"
    QUIET = "quiet"


def tone_of(decision: Decision) -> Tone:
    match decision:
        case Decision.PROMOTE:
            return Tone.GOOD
        case Decision.ROLLBACK:
            return Tone.BAD
        case Decision.INCONCLUSIVE:
            return Tone.OPEN
        case Decision.CONTINUE:
            return Tone.QUIET


def decisive(metric: MetricResult) -> ClaimResult | None:
    """The claim that settled the metric: one against the candidate before one for it."""
    crossed = [claim for claim in metric.claims if claim.crossed]
    against = [claim for claim in crossed if claim.claim in AGAINST]
    return next(iter(against + crossed), None)


def standing(metric: MetricResult) -> tuple[Tone, str]:
    """The metric's tone and its word: met, safe, worse, harmed, open, or untested for want of data."""
    claim = decisive(metric)
    if claim is not None:
        return (Tone.BAD if claim.claim in AGAINST else Tone.GOOD), claim.claim
    if metric.waiting is not None or all(claim.statistic is None for claim in metric.claims):
        return Tone.QUIET, "untested"
    return Tone.OPEN, "open"


def headline(verdict: Verdict, *, over: bool) -> str:
    """What became of the candidate, in one sentence. `over`: nothing more will be judged."""
    candidate, baseline = verdict.candidate, verdict.baseline
    match verdict.decision:
        case Decision.PROMOTE:
            return f"{candidate} earned its promotion over {baseline}."
        case Decision.ROLLBACK:
            return f"{candidate} was rolled back: {baseline} stays in service."
        case Decision.INCONCLUSIVE:
            return f"The evidence does not settle whether {candidate} should replace {baseline}."
        case Decision.CONTINUE if over:
            return f"The run ended before the evidence on {candidate} was in."
        case Decision.CONTINUE:
            return f"{candidate} against {baseline}: undecided so far."


def leading(metric: MetricResult) -> ClaimResult | None:
    """The open claim that is nearest to its boundary."""
    tested = [claim for claim in metric.claims if claim.statistic is not None and claim.boundary]
    return max(tested, key=reach, default=None)


def reach(claim: ClaimResult) -> float:
    """How far the statistic has come towards its boundary, 0 to 1."""
    if claim.crossed:
        return 1.0
    if claim.statistic is None or not claim.boundary:
        return 0.0
    return min(max(claim.statistic / claim.boundary, 0.0), 1.0)


def reasons(verdict: Verdict) -> tuple[str, ...]:
    """The verdict's reasons, for where the decision already stands above them."""
    first, *others = verdict.reasons or ("",)
    first = first.removeprefix(f"{verdict.decision.value}: ")
    word = first.partition(" ")[0]
    if word.isalpha() and word not in (verdict.candidate, verdict.baseline):
        first = first[:1].upper() + first[1:]
    return (first, *others) if first else ()
