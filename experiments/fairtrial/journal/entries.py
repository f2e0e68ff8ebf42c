"""What a journal records. An effect stands in it twice: once intended, and once known to be done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    STARTED = "started"  # the experiment as read, its digest, the judge's spec, versions
    BOUND = "bound"  # how much load the budget leaves, fixed before anything was judged
    TIMED = "timed"  # what the fixed computation took when a part of the observations had come
    INTENDED = "intended"  # an effect is about to be made
    DONE = "done"  # the effect is known to have happened
    LOOK = "look"  # the evidence was judged
    VERDICT = "verdict"  # the final verdict
    INCIDENT = "incident"  # something died, was restarted, or was found out of order
    ABORT = "abort"  # somebody asked for the run to end
    HELD = "held"  # from this look on the run is judged and does not go forward
    RELEASED = "released"  # from this look on it does again
    AWAITS_APPROVAL = "awaitsApproval"  # a candidate has passed, and a person is to say yes
    AWAITS_WINDOW = "awaitsWindow"  # a run may begin, or a candidate take over, only later by spec.schedule
    APPROVED = "approved"  # somebody did; the body says who
    INTERRUPTED = "interrupted"  # the controller was told to stop; the run can be resumed
    RESUMED = "resumed"
    FAILED = "failed"  # the run could not go on; the message says why
    TOLD = "told"  # an entry was made known to somebody who follows the run
    ENDED = "ended"  # everything is acted on and shut down


class Effect(StrEnum):
    """What the controller does to the world."""

    DEPLOY = "deploy"
    LOAD = "load"
    SHIFT = "shift"
    STOP_LOAD = "stopLoad"
    SWITCH = "switch"  # all traffic to the candidate, the baseline kept beside it for a while
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    HOLD = "hold"  # leave the split as it is
    REGISTER = "register"  # make the promotion known to the model registry
    CLOSE = "close"


@dataclass(frozen=True)
class Entry:
    seq: int
    time: float  # seconds since the epoch
    kind: Kind
    effect: Effect | None
    body: dict[str, Any]
