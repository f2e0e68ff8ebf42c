"""Everything a report or an explanation says about a run, read from its folder by the caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairtrial.judge.verdict import Decision, Verdict


@dataclass(frozen=True)
class Event:
    """Something that happened to the run, at `time` (seconds since the epoch)."""

    time: float
    kind: str  # deployed, shifted, promoted, rolledBack, incident, ...
    message: str  # "traffic shifted: 10% to v2"


@dataclass(frozen=True)
class Shift:
    """From `time` on the split divides users' traffic by `weights` (arm -> fraction, summing to 1)."""

    time: float
    segment: str  # as observations name it
    weights: Mapping[str, float]


@dataclass(frozen=True)
class History:
    """A run from its first entry to its last. It may still be running, or have ended undecided."""

    run_id: str
    experiment_name: str
    experiment_text: str  # experiment.yaml, verbatim
    started: float  # seconds since the epoch
    ended: float | None  # None: still running
    verdicts: Sequence[Verdict]  # one per look and candidate, in order; the last of a candidate is final
    events: Sequence[Event]
    manifest: str  # the SeldonDeployment as applied, YAML
    reproduce: Sequence[str]  # shell commands
    versions: Mapping[str, str]  # package -> version
    observations: Path  # folder of part-*.parquet, or one Parquet file
    load: Mapping[str, Any]  # load.json: what the load process says of itself; {} without one
    shifts: Sequence[Shift] = field(default=())

    @property
    def over(self) -> bool:
        """Whether nothing more will be judged: the run has ended, or has its verdict and is shutting down."""
        chosen = self.chosen()
        return self.ended is not None or (chosen is not None and chosen.decision is not Decision.CONTINUE)

    def candidates(self) -> tuple[str, ...]:
        """The candidates in the order in which they were first judged."""
        return tuple(dict.fromkeys(verdict.candidate for verdict in self.verdicts))

    def looks(self, candidate: str) -> tuple[Verdict, ...]:
        """The verdicts on one candidate, one per look, in order."""
        return tuple(verdict for verdict in self.verdicts if verdict.candidate == candidate)

    def finals(self) -> tuple[Verdict, ...]:
        """The last verdict on each candidate."""
        return tuple(self.looks(candidate)[-1] for candidate in self.candidates())

    def chosen(self) -> Verdict | None:
        """The verdict that says what became of the run; None before the first look.

        A promoted candidate speaks for the run; of several, the one that was selected. Otherwise the run is
        rolled back only if every candidate was, and the most undecided one speaks for it.
        """
        weight = {
            Decision.PROMOTE: 3,
            Decision.CONTINUE: 2,
            Decision.INCONCLUSIVE: 1,
            Decision.ROLLBACK: 0,
        }
        return max(
            self.finals(),
            key=lambda verdict: (weight[verdict.decision], verdict.selected_from),
            default=None,
        )
