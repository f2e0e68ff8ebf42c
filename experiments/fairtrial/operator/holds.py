"""What holds a run on a cluster: a pause, a baseline that is down, the hour, what a person is to decide."""

from __future__ import annotations

from collections.abc import Callable

from fairtrial.controller.approval import ApprovalGate
from fairtrial.controller.windows import WindowGate
from fairtrial.experiment.standing import Phase
from fairtrial.operator.arms import Arms
from fairtrial.operator.record import Record
from fairtrial.operator.resource import APPROVE, PAUSE

_GOING_ON = (Phase.RUNNING, Phase.PAUSED, Phase.AWAITING_APPROVAL, Phase.AWAITING_WINDOW)


class ResourceHolds:
    """Implements `controller.holding.Holds`, and shows what holds as phase and condition Progressing."""

    def __init__(
        self,
        record: Record,
        arms: Arms,
        gate: ApprovalGate,
        windows: WindowGate,
        tell: Callable[[str, str], None],
    ) -> None:
        """gate, windows: what the spec asks for. tell: makes an Event of (reason, message)."""
        self._record = record
        self._gate = gate
        self._windows = windows
        self._arms = arms
        self._tell = tell
        self.paused = False
        self._promoting = False
        self._outside: str | None = None  # why nothing goes forward now that otherwise would
        self._shown: tuple[Phase, str] | None = None

    @property
    def awaits_approval(self) -> bool:
        """Whether somebody's approval is missing, and nothing but the hour beside it."""
        return self._promoting and self._holding() is None and self._unapproved() is not None

    def start(self) -> str | None:
        """See `Holds`."""
        waited, self._outside = self._outside, self._windows.start()
        if self._outside is not None and waited is None:
            self._record.set(phase=Phase.AWAITING_WINDOW.value)
        if waited is not None or self._outside is not None:
            self.show()
        return self._outside

    def next_step(self) -> str | None:
        """See `Holds`."""
        why = self._holding()
        self._outside = self._windows.next_step() if why is None else None
        return why or self._outside

    def promotion(self) -> str | None:
        """See `Holds`."""
        self._promoting = True
        why = self._holding()
        self._outside = self._windows.promotion() if why is None else None
        why = why or self._gate.promotion() or self._unapproved()
        self.show()
        return why or self._outside

    def show(self) -> None:
        """Write what holds into the status, where that has changed. Raises as `Record.write` does."""
        if Phase(self._record.status.get("phase", Phase.PENDING)) not in _GOING_ON:
            return
        if self._outside is not None:
            self._outside = self._windows.next_step()
        down, unapproved = self._arms.baseline_down, self._unapproved() if self._promoting else None
        if down is not None:
            found = Phase.RUNNING, "BaselineNotReady", down
        elif self.paused:
            found = Phase.PAUSED, "Paused", f"paused by the annotation {PAUSE}: judged, and not shifted"
        elif unapproved is not None:
            found = Phase.AWAITING_APPROVAL, "AwaitingApproval", unapproved
        elif self._outside is not None:
            found = Phase.AWAITING_WINDOW, "OutsideWindow", self._outside
        else:
            found = Phase.RUNNING, "GoesOn", ""
        phase, reason, message = found
        if self._shown == (phase, reason):
            return
        if self._shown is not None or reason != "GoesOn":
            self._tell(reason, message or "nothing holds the run any more")
        self._shown = phase, reason
        self._record.set(phase=phase.value)
        if phase is Phase.AWAITING_WINDOW:  # for hours, in which nothing else may come to be written
            self._record.set(message=message)
        self._record.condition("Progressing", reason == "GoesOn", reason, message)
        self._record.write()

    def _holding(self) -> str | None:
        """A baseline that is down cannot be compared with: that is noted, and outlives the hold."""
        if (down := self._arms.baseline_down) is not None:
            run = self._record.status["run"]
            if "doubt" not in run:
                self._record.set(run={**run, "doubt": f"during the trial {down}"})
            return down
        return f"it is paused (annotation {PAUSE})" if self.paused else None

    def _unapproved(self) -> str | None:
        run = self._record.status["run"]
        if run.get("approved", False):
            return None
        if "doubt" not in run:
            return self._gate.pending
        return f"{run['doubt']}: approve the promotion by the annotation {APPROVE}, or abort"
