"""All that the decision on one candidate rests on at a look."""

from __future__ import annotations

from dataclasses import dataclass

from fairtrial.judge.claims import MetricLook
from fairtrial.judge.evidence import Evidence
from fairtrial.judge.gates import requests_of
from fairtrial.judge.spec import JudgeSpec
from fairtrial.judge.verdict import Gate


@dataclass(frozen=True)
class Case:
    """One candidate against the baseline."""

    spec: JudgeSpec
    evidence: Evidence
    candidate: str
    looks: tuple[MetricLook, ...]  # one a metric
    gates: tuple[Gate, ...]
    elapsed: float  # seconds of intended time
    horizon: bool  # there will be no later look

    @property
    def baseline(self) -> str:
        return self.spec.baseline

    @property
    def level(self) -> float:
        """Confidence level of the intervals: each end is one-sided at the rate of a claim for promotion."""
        return 1 - 2 * self.spec.alpha / len(self.spec.candidates)

    @property
    def requests(self) -> int:
        """The candidate's requests."""
        return requests_of(self.evidence, self.candidate)

    @property
    def errors(self) -> int:
        """Of them, those that failed."""
        return int(self.evidence.errors[:, self.evidence.arm(self.candidate)].sum())
