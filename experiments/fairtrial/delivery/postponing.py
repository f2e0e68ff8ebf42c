"""A trial whose window is closed is put off: what else comes up is done meanwhile."""

from __future__ import annotations

from pathlib import Path

from fairtrial.delivery.pinning import load_template
from fairtrial.errors import NotReadyError
from fairtrial.planning.calendar import Calendar


class PostponedError(NotReadyError):
    """The experiment's `schedule` lets no trial begin before `until` (seconds since the epoch)."""

    def __init__(self, message: str, until: float) -> None:
        super().__init__(message)
        self.until = until


def check_window(template: Path, now: float) -> None:
    """Raises PostponedError where the pipeline's experiment may not begin now; as `load_template` does."""
    schedule = load_template(template).spec.schedule
    if schedule is None:
        return
    calendar = Calendar(schedule)
    if (why := calendar.why_closed(now)) is not None:
        raise PostponedError(f"the trial waits to begin: {why}", calendar.opens(now))
