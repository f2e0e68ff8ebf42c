"""A promotion that waits for a person, as `spec.approval` asks for; all of it is in the run's journal.

What counts is what the journal says: since when it waits, who has said yes. So a run that was killed waits
on, no longer than it would have.
"""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from fairtrial.experiment.approval import Approval
from fairtrial.experiment.quantities import format_duration
from fairtrial.journal.entries import Entry, Kind

#: Why a run was ended, in the body of the journal's entry.
TIMED_OUT = "ApprovalTimedOut"


class Entries(Protocol):
    """What is needed of a journal."""

    def append(self, kind: Kind, body: Mapping[str, Any] | None = None) -> object: ...

    def last(self, kind: Kind) -> Entry | None: ...


class ApprovalGate:
    """Implements `Holds`."""

    def __init__(
        self, approval: Approval | None, journal: Entries, now: Callable[[], float], how: str
    ) -> None:
        """how: by what somebody says yes, for people."""
        self._approval = approval if approval is not None and approval.required else None
        self._journal = journal
        self._now = now
        self._how = how

    @property
    def pending(self) -> str | None:
        """What is missing, in words; None where nothing is, or nothing ever was."""
        if self._approval is None or self._journal.last(Kind.APPROVED) is not None:
            return None
        within = f" within {format_duration(self._approval.timeout)}" if self._approval.timeout else ""
        return f"spec.approval asks for somebody's yes{within}: {self._how}"

    def start(self) -> None:
        """See `Holds`."""

    def next_step(self) -> None:
        """See `Holds`."""

    def promotion(self) -> str | None:
        """See `Holds`. The first time is journalled; when the time is over, so is the end of the run."""
        why = self.pending
        if why is None or self._approval is None:
            return None
        asked = self._journal.last(Kind.AWAITS_APPROVAL)
        if asked is None:
            self._journal.append(Kind.AWAITS_APPROVAL, {"reason": why})
        elif self._is_over(asked) and self._journal.last(Kind.ABORT) is None:
            self._journal.append(Kind.ABORT, {"reason": TIMED_OUT, "message": timed_out(self._approval)})
        return why

    def _is_over(self, asked: Entry) -> bool:
        timeout = self._approval.timeout if self._approval is not None else None
        return timeout is not None and self._now() - asked.time >= timeout


def timed_out(approval: Approval) -> str:
    """What has happened, in words."""
    return f"nobody approved the promotion within {format_duration(approval.timeout or 0.0)}"


def somebody() -> str:
    """Who says yes on this machine, for the record: user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "somebody"
    return f"{user}@{socket.gethostname()}"
