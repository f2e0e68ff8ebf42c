"""What a verb came to, as an output tells it. Pure data, made of a run's record or of an error alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from fairtrial.errors import ExitCode
from fairtrial.judge.verdict import Decision, Verdict


class Ending(Enum):
    """How a run ended, in the words that CI servers know."""

    PASSED = "passed"
    FAILED = "failed"  # the candidate was tried, and is worse or does harm
    OPEN = "open"  # it was tried, and the evidence settles nothing
    BROKEN = "broken"  # there is no verdict, or it could not be acted upon


_OF_DECISION = {
    Decision.PROMOTE: Ending.PASSED,
    Decision.ROLLBACK: Ending.FAILED,
    Decision.INCONCLUSIVE: Ending.OPEN,
    Decision.CONTINUE: Ending.BROKEN,
}


@dataclass(frozen=True)
class Outcome:
    """A run (or a retrospective) that has ended, well or badly."""

    experiment: str  # its name; its file where it could not be read
    code: ExitCode | None  # None where it is told of afterwards
    began: float  # seconds since the epoch
    seconds: float  # that it took
    error: str | None = None  # why it did not come to its end; may have several lines
    run: str | None = None  # the run's id, where there is a run
    looks: Mapping[str, Sequence[Verdict]] = field(default_factory=dict[str, Sequence[Verdict]])
    chosen: Verdict | None = None  # that speaks for the run: the last of one of `looks`

    @property
    def finals(self) -> tuple[Verdict, ...]:
        """The last verdict on each candidate."""
        return tuple(looks[-1] for looks in self.looks.values())

    @property
    def ending(self) -> Ending:
        if self.error is not None:
            return Ending.BROKEN
        if self.chosen is None:  # `--record` judges nothing, and is no failure
            return Ending.PASSED if self.code is ExitCode.OK else Ending.BROKEN
        return _OF_DECISION[self.chosen.decision]

    @property
    def message(self) -> str:
        """Why it ended as it did, in sentences on lines of their own."""
        if self.error is not None:
            return self.error
        if self.chosen is None or not self.chosen.reasons:
            return "The run ended before anything was judged."
        return "\n".join(self.chosen.reasons)
