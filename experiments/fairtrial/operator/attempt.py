"""One attempt to bring a run to its end: everything that it needs put together, and its outcome in words."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

from fairtrial_graphs.backends.interface import Interfered, NotReady
from fairtrial_graphs.backends.kubernetes.errors import ApiError
from fairtrial_loadtests.plan import LoadPlan

from fairtrial.controller.approval import TIMED_OUT, ApprovalGate
from fairtrial.controller.effects import is_done, is_intended
from fairtrial.controller.load_session import StartableLoad
from fairtrial.controller.run import Controller
from fairtrial.controller.windows import WindowGate
from fairtrial.errors import AbortedError, FairtrialError, InterferedError
from fairtrial.experiment.standing import Phase
from fairtrial.followers.choose import followed
from fairtrial.journal.entries import Effect, Entry, Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.judge.document import verdict_to_dict
from fairtrial.judge.verdict import Decision, Verdict
from fairtrial.operator.arms import Arms
from fairtrial.operator.feed import AwayError, PatientLoad, WatchedLoad
from fairtrial.operator.guarded import GuardedBackend
from fairtrial.operator.holds import ResourceHolds
from fairtrial.operator.interruption import RunClock, StoppedError, Wake
from fairtrial.operator.journal import StatusJournal
from fairtrial.operator.record import GoneError, Record
from fairtrial.operator.relay import Relay
from fairtrial.operator.resource import ABORT, APPROVE, PAUSE, TAKE_OVER, Resource
from fairtrial.operator.services import Services
from fairtrial.operator.trial import plan_in
from fairtrial.operator.view import ResourceView
from fairtrial.registry.choose import registry_of

#: What an API server that is away or busy answers, if at all.
_OUTAGE = (0, 409, 429, 500, 502, 503, 504)
#: Why a run is ended from outside: reason, phase, words.
SUPERSEDED, DELETED, REQUESTED = "Superseded", "Deleted", "Aborted"


@dataclass(frozen=True)
class Outcome:
    """How a run has ended."""

    phase: Phase
    reason: str
    message: str
    kept: bool = False  # whether the traffic is left divided


class Attempt:
    """Resumes the run that the record names, from wherever its journal says that it is."""

    def __init__(
        self, services: Services, record: Record, wake: Wake, latest: Callable[[], Resource]
    ) -> None:
        """latest: the resource as it was last seen.

        Raises FairtrialError where its spec cannot be run, and as `Record.write` does.
        """
        self._services = services
        self._record = record
        self._wake = wake
        self._latest = latest
        self._returning = False
        self._deployed = False
        namespace, name = record.resource.key
        run = record.status["run"]
        self._folder = RunFolder(services.scratch / run["id"])
        shutil.rmtree(self._folder.path, ignore_errors=True)
        self._folder.observations.mkdir(parents=True)
        self._plan = plan_in(run["spec"], namespace, name, self._folder.path, run.get("deployment"))
        self._view = ResourceView(self._plan, record, services.events, services.look_every)
        self._journal = StatusJournal(record, services.now, self._entered)
        self._relay = Relay(self._journal.entries())
        arms = (self._plan.baseline, *self._plan.candidates)
        self._arms = Arms(
            lambda: services.down(namespace, record.resource.deployment, arms),
            self._plan.baseline,
            services.now,
            patience=services.unready_limit,
        )
        gate = ApprovalGate(
            self._plan.experiment.spec.approval, self._journal, services.now, f"the annotation {APPROVE}"
        )
        windows = WindowGate(self._plan.experiment.spec.schedule, self._journal, services.now)
        self._holds = ResourceHolds(record, self._arms, gate, windows, self._tell)
        self._backend = GuardedBackend(
            services.new_backend(namespace, run["id"], latest().asks(TAKE_OVER), self._tick),
            services.leading,
            self._heed,
            self._look_at_arms,
        )
        clock = RunClock(wake, services.patience, services.now)
        self._feed = services.new_feed(self._plan, self._folder, self._journal, clock)
        self._controller = Controller(
            self._plan,
            self._folder,
            self._journal,
            self._backend,
            self._new_load,
            self._view,
            clock,
            registry_of(self._plan.experiment),
            self._holds,
            self._watched,
            turn=services.turn,
        )

    def outcome(self) -> Outcome:
        """Raises StoppedError, GoneError, ApiError when the API server is away; otherwise the run is over."""
        try:
            with followed(self._plan.experiment, self._folder, self._relay.open):
                if not self._journal.entries():
                    self._journal.append(Kind.STARTED)
                    self._say_what_is_void()
                found = self._to_its_end()
        except StoppedError:
            self._keep_what_was_told()
            raise
        self._relay.settle(self._journal)
        return found

    def _say_what_is_void(self) -> None:
        """No route to Seldon Core's predictors knows callers, whichever it is."""
        if self._plan.experiment.spec.sticky is not None:
            message = (
                "spec.sticky: each request is drawn anew, by Istio and by the Gateway API alike, so that "
                "a caller comes to either arm, before and after every shift"
            )
            self._tell("NotSticky", message)

    def _keep_what_was_told(self) -> None:
        """So that the next replica does not tell it again."""
        if self._services.leading():
            with contextlib.suppress(ApiError, GoneError, StoppedError):
                self._relay.settle(self._journal)
                self._record.write()

    def _to_its_end(self) -> Outcome:
        try:
            found = self._run()
            self._release()
        except GoneError:
            with contextlib.suppress(NotReady):
                self._backend.release()
            raise
        finally:
            self._backend.close()
        if self._journal.last(Kind.ENDED) is None:
            self._journal.append(Kind.ENDED)
        return found

    # ---- the ways to the end

    def _run(self) -> Outcome:
        try:
            failed = self._journal.last(Kind.FAILED)
            if failed is not None:
                return self._failed(failed.body["reason"], failed.body["message"])
            self._heed()
            if is_done(self._journal, Effect.DEPLOY) and self._journal.last(Kind.VERDICT) is None:
                self._restore()
            return self._concluded(self._controller.run())
        except AbortedError:
            return self._aborted()
        except (Interfered, InterferedError) as error:
            return Outcome(Phase.FAILED, "Interfered", str(error))
        except FairtrialError as error:
            _raise_outage(error)
            reason = type(error).__name__.removesuffix("Error")
            self._journal.append(Kind.FAILED, {"reason": reason, "message": str(error)})
            return self._failed(reason, str(error))

    def _concluded(self, verdict: Verdict) -> Outcome:
        action = self._plan.action(verdict.decision)
        finals = self._controller.finals
        if len(finals) > 1:
            self._record.set(candidates=[verdict_to_dict(final) for final in finals])
        outcome = self._plan.describe(action, verdict.candidate)
        message = f"{verdict.reasons[0].rstrip('.')}; {outcome}" if verdict.reasons else outcome
        if action is Effect.HOLD:
            return Outcome(Phase.INCONCLUSIVE, "SplitKept", message, kept=True)
        if action is Effect.PROMOTE:
            self._view.at_rest(verdict.candidate)
            return Outcome(Phase.PROMOTED, "Promoted", message)
        self._view.at_rest(self._plan.baseline)
        if verdict.decision is Decision.ROLLBACK:
            return Outcome(Phase.ROLLED_BACK, "RolledBack", message)
        return Outcome(Phase.INCONCLUSIVE, "Inconclusive", message)

    def _aborted(self) -> Outcome:
        asked = self._journal.last(Kind.ABORT)
        reason = asked.body["reason"] if asked is not None else REQUESTED
        trouble = self._return_to_baseline()
        message = f"{_ABORTED[reason]}; {trouble or self._plan.describe(Effect.ROLLBACK, '')}"
        phase = Phase.PENDING if reason == SUPERSEDED else Phase.ABORTED
        return Outcome(phase, reason, message)

    def _failed(self, reason: str, message: str) -> Outcome:
        trouble = self._return_to_baseline()
        after = trouble or self._plan.describe(Effect.ROLLBACK, "")
        return Outcome(Phase.FAILED, reason, f"{message}; {after}")

    def _return_to_baseline(self) -> str | None:
        """What kept the baseline from being ready, in words: it is applied, and the rest is the cluster's."""
        if not any(each.effect is Effect.DEPLOY for each in self._journal.entries(Kind.INTENDED)):
            return "nothing was deployed"
        self._returning = True
        self._record.set(phase=Phase.RETURNING.value)
        try:
            self._controller.return_to_baseline()
        except FairtrialError as error:
            _raise_outage(error)
            return str(error)
        self._view.at_rest(self._plan.baseline)
        return None

    def _release(self) -> None:
        try:
            self._backend.release()
        except NotReady as error:
            _raise_outage(error)
            self._tell("NotReleased", str(error))

    def _restore(self) -> None:
        """Raises AwayError: without what it had observed nobody knows where the run stands."""
        try:
            self._feed.restore()
        except AwayError as error:
            self._evidence(False, "SourceUnavailable", f"{error}; the run waits for it")
            raise

    # ---- meanwhile

    def _entered(self, entry: Entry) -> None:
        self._view.entered(entry)
        self._relay.entered(entry)

    def _new_load(self, wanted: LoadPlan) -> StartableLoad:
        return self._watched(PatientLoad(wanted, self._feed.load, self._services.now))

    def _watched(self, load: StartableLoad) -> StartableLoad:
        return WatchedLoad(load, self._evidence, self._services.now, self._services.quiet_limit)

    def _tick(self) -> float:
        """The clock of a backend that waits: it ends by what it raises."""
        self._heed()
        return time.monotonic()

    def _heed(self) -> None:
        """Do what people ask of the resource. Raises AbortedError, StoppedError."""
        self._wake.check()
        self._relay.settle(self._journal)
        if self._returning:
            return
        resource = self._latest()
        asked = self._journal.last(Kind.ABORT)
        if asked is None and (reason := self._ended_by(resource)) is not None:
            self._journal.append(Kind.ABORT, {"reason": reason})
            asked = self._journal.last(Kind.ABORT)
        if asked is not None:
            self._record.forget((ABORT,))
            raise AbortedError(_ABORTED[asked.body["reason"]])
        self._holds.paused = resource.asks(PAUSE)  # first: a yes that was said meanwhile counts now
        if resource.asks(APPROVE) and self._holds.awaits_approval:
            by = resource.said(APPROVE) or "somebody"
            self._record.set(run={**self._record.status["run"], "approved": True})
            self._journal.append(Kind.APPROVED, {"by": by})
            self._record.forget((APPROVE,))
            self._tell("Approved", f"{by} has approved the promotion")
        self._holds.show()

    def _look_at_arms(self) -> None:
        self._deployed = self._deployed or is_intended(self._journal, Effect.DEPLOY)
        if self._deployed:  # before, there are none
            self._arms.look()

    def _ended_by(self, resource: Resource) -> str | None:
        if resource.deleting:
            return DELETED
        if resource.generation != self._record.status["run"]["generation"]:
            return SUPERSEDED
        return REQUESTED if resource.asks(ABORT) else None

    def _evidence(self, flows: bool | None, reason: str, message: str) -> None:
        told = [each for each in self._record.status.get("conditions") or () if each["type"] == "Evidence"]
        if told and told[0]["reason"] == reason and told[0]["message"] == message:
            return
        self._record.condition("Evidence", flows, reason, message)
        self._record.write()
        if told or not flows:
            self._tell(reason, message)

    def _tell(self, reason: str, message: str) -> None:
        warning = reason in _WARNINGS
        self._services.events.tell(
            self._record.resource,
            reason,
            message,
            kind="Warning" if warning else "Normal",
            once=f"{self._record.status['run']['id']}/{self._services.now():.0f}",
        )


_WARNINGS = ("SourceUnavailable", "NoEvidence", "BaselineNotReady", "NotReleased", "NotSticky")
_ABORTED = {
    REQUESTED: "aborted on request",
    SUPERSEDED: "superseded by a change of the spec: another run follows",
    DELETED: "the experiment is being deleted",
    TIMED_OUT: "nobody approved the promotion in time",
}


def _raise_outage(error: BaseException) -> None:
    """Raise the ApiError behind an error that is none of the run's: the API server is away."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ApiError) and cause.code in _OUTAGE:
            raise cause
        cause = cause.__cause__
