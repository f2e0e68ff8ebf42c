"""One run of an experiment, from its resource's spec to the traffic at rest, in a thread of its own.

Whatever goes wrong between is met in one way: the run is left where it stands and taken up again, as after a
restart of the operator. Its journal, in the resource's status, says what is owed.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable

from fairtrial_graphs.backends.kubernetes.errors import ApiError

from fairtrial.errors import FairtrialError
from fairtrial.experiment.standing import Phase
from fairtrial.operator.attempt import SUPERSEDED, Attempt, Outcome
from fairtrial.operator.conditions import timestamp
from fairtrial.operator.feed import AwayError
from fairtrial.operator.interruption import StoppedError, Wake
from fairtrial.operator.record import GoneError, Record
from fairtrial.operator.resource import Resource
from fairtrial.operator.services import Services

_log = logging.getLogger(__name__)

#: Seconds: a bug is no outage, and is there again the next time, unless what it met has changed.
_AFTER_A_BUG = 300.0


class ExperimentRun:
    """The run that `record.status["run"]` names; new or cut off alike."""

    def __init__(
        self, services: Services, record: Record, resource: Resource, ended: Callable[[], None]
    ) -> None:
        """ended: called from the run's thread as its last act."""
        self.record = record
        self._services = services
        self._resource = resource
        self._wake = Wake()
        self._ended = ended
        self.id = str(record.status["run"]["id"])
        self._thread = threading.Thread(target=self._work, name=f"run {self.id}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Leave it where it stands."""
        self._wake.stop()

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)

    def notice(self, resource: Resource) -> None:
        """Its resource has changed."""
        self._resource = resource
        self._wake.ring()

    def ring(self) -> None:
        """Something that it waits for may have come."""
        self._wake.ring()

    def _work(self) -> None:
        thrown_out = 0
        try:
            while True:
                pause = self._services.pauses[min(thrown_out, len(self._services.pauses) - 1)]
                try:
                    self._attempt()
                    break
                except (ApiError, AwayError) as error:
                    _log.warning("%s: %s; the run is taken up again", self.id, error)
                except Exception as error:  # noqa: BLE001 - it is told, and one run's alone
                    pause = _AFTER_A_BUG
                    _log.exception("%s: a bug in Fairtrial", self.id)
                    self._tell_bug(error)
                thrown_out += 1
                self._wake.wait(pause)
        except (StoppedError, GoneError):
            _log.info("%s: left as it stands", self.id)
        finally:
            shutil.rmtree(self._services.scratch / self.id, ignore_errors=True)
            self._ended()

    def _tell_bug(self, error: Exception) -> None:
        message = (
            f"a bug in Fairtrial ({type(error).__name__}: {error}), please report it; the run is taken up "
            f"again in {_AFTER_A_BUG:.0f} s, or when its resource changes"
        )
        self._services.events.tell(
            self.record.resource, "Bug", message, kind="Warning", once=f"{self.id}/{error}"
        )

    def _attempt(self) -> None:
        """Raises StoppedError, GoneError, ApiError when the API server is away; otherwise the run is over."""
        if not self._services.leading():
            raise StoppedError
        self.record.claim()
        self.record.hold()
        try:
            attempt = Attempt(self._services, self.record, self._wake, lambda: self._resource)
        except FairtrialError as error:
            reason = type(error).__name__.removesuffix("Error")
            self._end(Outcome(Phase.FAILED, reason, str(error)))
            return
        self._end(attempt.outcome())

    def _end(self, outcome: Outcome) -> None:
        run = {**self.record.status["run"], "ended": timestamp(self._services.now())}
        if outcome.kept:
            run["kept"] = True
        self.record.set(phase=outcome.phase.value, message=outcome.message, run=run)
        complete = outcome.phase not in (Phase.FAILED, Phase.ABORTED, Phase.PENDING)
        self.record.condition("Progressing", False, outcome.reason, outcome.message)
        self.record.condition("Complete", complete, outcome.reason, outcome.message)
        self.record.write()
        failed = outcome.phase in (Phase.FAILED, Phase.ROLLED_BACK)
        self._services.events.tell(
            self.record.resource,
            outcome.reason if outcome.reason != SUPERSEDED else "Superseded",
            outcome.message,
            kind="Warning" if failed else "Normal",
            once=f"{self.id}/ended",
        )
        if not outcome.kept:
            self.record.let_go()
