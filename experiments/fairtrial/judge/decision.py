"""From claims and gates to a decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from fairtrial.judge.case import Case
from fairtrial.judge.claims import MetricLook
from fairtrial.judge.verdict import Decision

#: Requests of a candidate before its error rate can end the run at once.
ABORT_MINIMUM = 20


class Cause(Enum):
    """What led to a decision."""

    ABORT = auto()  # the candidate's error rate is beyond the abort limit
    HARM = auto()  # a claim against the candidate crossed
    MISMATCH = auto()  # the split did not divide traffic as told
    PROVEN = auto()  # every claim for the candidate crossed
    NO_TRAFFIC = auto()
    SETTLED = auto()  # no claim can cross any more that would change anything
    HORIZON = auto()
    OPEN = auto()


_DECISIONS: Mapping[Cause, Decision] = {
    Cause.ABORT: Decision.ROLLBACK,
    Cause.HARM: Decision.ROLLBACK,
    Cause.MISMATCH: Decision.INCONCLUSIVE,
    Cause.PROVEN: Decision.PROMOTE,
    Cause.NO_TRAFFIC: Decision.INCONCLUSIVE,
    Cause.SETTLED: Decision.INCONCLUSIVE,
    Cause.HORIZON: Decision.INCONCLUSIVE,
    Cause.OPEN: Decision.CONTINUE,
}


@dataclass(frozen=True)
class Outcome:
    decision: Decision
    cause: Cause


def decide(case: Case) -> Outcome:
    """The decision on one candidate.

    Harm comes first, because it is the safe side. Then the sample ratio: a comparison of arms that were
    not filled as told proves nothing, however long it goes on.
    """
    cause = _cause(case)
    return Outcome(_DECISIONS[cause], cause)


def _cause(case: Case) -> Cause:
    if _aborts(case):
        cause = Cause.ABORT
    elif any(look.against.state.crossed for look in case.looks):
        cause = Cause.HARM
    elif any(gate.name == "sampleRatio" and not gate.passed for gate in case.gates):
        cause = Cause.MISMATCH if case.requests else Cause.NO_TRAFFIC
    elif all(look.favour.state.crossed for look in case.looks) and all(gate.passed for gate in case.gates):
        cause = Cause.PROVEN
    elif case.horizon:
        cause = Cause.HORIZON if case.requests else Cause.NO_TRAFFIC
    elif _settled(case.looks):
        cause = Cause.SETTLED
    else:
        cause = Cause.OPEN
    return cause


def _aborts(case: Case) -> bool:
    limit = case.spec.abort_error_rate
    return limit is not None and case.requests >= ABORT_MINIMUM and case.errors > limit * case.requests


def _settled(looks: Sequence[MetricLook]) -> bool:
    """Whether no promotion can come, and no harm that was not already ruled out.

    A claim is over once its planned maximum has been looked at.
    """
    no_promotion = any(look.favour.exhausted and not look.favour.state.crossed for look in looks)
    no_harm = all(look.against.exhausted or look.favour.state.crossed for look in looks)
    return no_promotion and no_harm
