"""One run, from the first deployment to the last effect, resumable at any point.

All that a run decides follows from its observations, which are on disk in order of time: a resumed run
judges them again, comes to the same looks, and so knows where it stands. The journal says which
effects are still owed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from fairtrial_graphs.backends.interface import Backend, Interfered, Route, Serving
from fairtrial_graphs.seldon.types import SeldonDeployment
from fairtrial_loadtests.plan import LoadPlan

from fairtrial.clock import Clock
from fairtrial.console.interface import Console
from fairtrial.controller.aborted import raise_if_aborted
from fairtrial.controller.applying import applied, released
from fairtrial.controller.budget import Budget
from fairtrial.controller.effects import effect, is_done, is_intended
from fairtrial.controller.holding import HeldLooks, Holds, NoHolds, await_release
from fairtrial.controller.live_sources import live_feed_of
from fairtrial.controller.load_session import Load, LoadSession, StartableLoad
from fairtrial.controller.observed import Observed
from fairtrial.controller.progression import Position, Step
from fairtrial.controller.reference import timed
from fairtrial.controller.takeover import TakeOver
from fairtrial.controller.turns import in_turn
from fairtrial.errors import InterferedError
from fairtrial.experiment.live import Live
from fairtrial.journal.entries import Effect, Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.interface import RunJournal
from fairtrial.journal.store import JournalError
from fairtrial.judge.document import verdict_from_dict, verdict_to_dict
from fairtrial.judge.verdict import Verdict
from fairtrial.judging import Judgement, StreamJudge
from fairtrial.planning.load import load_plan
from fairtrial.planning.plan import Plan
from fairtrial.planning.words import split_in_words
from fairtrial.registry.interface import Registry
from fairtrial.report.history import Event


class Controller:
    """Runs a plan to its verdict. `run` is for a fresh folder and for one that was cut off alike."""

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        journal: RunJournal,
        backend: Backend,
        new_load: Callable[[LoadPlan], StartableLoad],
        console: Console,
        clock: Clock,
        registry: Registry | None = None,
        holds: Holds | None = None,
        watched: Callable[[StartableLoad], StartableLoad] = lambda load: load,
        budget: Budget | None = None,
        interrupt_returns: bool = True,
        begins: Callable[[], None] = lambda: None,
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        """registry: where a promotion is made known, if anywhere. holds: what keeps it from going forward.

        watched: looks on as live traffic is read. budget: when the run is to be over. begins: called before
        anything is deployed, once it may be.
        interrupt_returns: see TakeOver. turn: held while it judges; other runs of this process share it.
        """
        self._plan = plan
        self._registry = registry
        self._folder = folder
        self._journal = journal
        self._backend = backend
        self._new_load = new_load
        self._console = console
        self._clock = clock
        self._watched = watched
        self._budget = budget
        self._interrupt_returns = interrupt_returns
        self._begins = begins
        self._turn = turn or nullcontext()
        self._holds = holds or NoHolds()
        self._held = HeldLooks(
            journal, self._holds.next_step, lambda why: self._say("held", f"the next step waits: {why}")
        )
        self._judging = StreamJudge(plan.claims)
        self._observed = Observed(folder, journal, timed)
        self._position = Position()
        self._deployed = False
        self._outcome: tuple[Effect, str] | None = None
        self._known_looks = {
            (e.body["look"], e.body["verdict"]["candidate"]): e.body["verdict"]
            for e in journal.entries(Kind.LOOK)
        }

    @property
    def finals(self) -> tuple[Verdict, ...]:
        """The final verdict on each candidate that has one."""
        return self._judging.finals

    def run(self) -> Verdict:
        """Deploy, load, judge, act. Returns the verdict of the run once it is acted upon.

        Raises AbortedError when somebody asked for the end, NotReadyError, InterferedError, UsageError,
        JournalError.
        """
        if self._journal.last(Kind.VERDICT) is None:
            raise_if_aborted(self._journal, self._folder.id)
        final = self._catch_up() or self._decided()
        if final is None:
            final = self._try_out()
        if self._journal.last(Kind.VERDICT) is None:
            self._journal.append(Kind.VERDICT, verdict_to_dict(final))
        action = self._plan.action(final.decision)
        if action is Effect.PROMOTE:
            taking_over = self._taking_over()
            taking_over.prepare(final.candidate)
            self._act(action, final.candidate)
            taking_over.register(final)
        else:
            self._act(action, final.candidate)
        return final

    def return_to_baseline(self) -> None:
        """What an aborted run leaves behind: the baseline, alone."""
        self._act(self._plan.retreat, self._plan.candidates[0])

    def serve_outcome(self) -> Serving:
        """Serve what the verdict came to; nothing happens where it is being served."""
        assert self._outcome is not None, "only a run that has its verdict has an outcome"
        what, candidate = self._outcome
        return self._apply(self._plan.after(what, self._position.step, candidate))

    def watch_backend(self) -> None:
        """Journal and tell what died or was started again. Raises InterferedError."""
        try:
            incidents = self._backend.incidents()
        except Interfered as error:
            raise InterferedError(str(error)) from error
        for incident in incidents:
            self._incident(incident.message)

    # ---- the stages

    def _catch_up(self) -> Verdict | None:
        """Judge what an earlier process recorded."""
        for table in self._observed.recorded():
            final = self._take(self._judging.feed(table))
            if final is not None:
                return final
        return None

    def _decided(self) -> Verdict | None:
        """The verdict of an earlier process, where what it rests on can no longer be read."""
        known = self._journal.last(Kind.VERDICT)
        if known is None:
            return None
        revisions = [
            entry.body["revision"]
            for entry in self._journal.entries(Kind.INTENDED)
            if entry.effect in (Effect.DEPLOY, Effect.SHIFT)
        ]
        served = [i for i, step in enumerate(self._plan.steps) if revisions[-1:] == [step.revision]]
        self._position = Position(step=served[0] if served else 0)
        return verdict_from_dict(known.body)

    def _try_out(self) -> Verdict:
        step = self._plan.steps[self._position.step]
        if self._registry is not None:
            self._console.phase("asking whether the model registry answers")
            self._registry.check()
        self._await_start()
        self._begins()
        self._console.phase(self._deploying)
        with effect(self._journal, Effect.DEPLOY, **_told(step)) as details:
            serving = self._apply(self._plan.at_step(self._position.step))
            if self._plan.stored is not None:
                details["outcome"] = (
                    f"{self._plan.alone} runs alone; the answers of {self._plan.baseline} are those of "
                    f"{self._plan.stored.words}"
                )
            elif self._plan.elsewhere:
                details["outcome"] = "; ".join(f"{arm} runs at {at.url}" for arm, at in serving.arms.items())
        self._deployed = True
        self._say("deployed", details.get("outcome") or f"{serving.url} serves {split_in_words(step)}")
        self._keep_within_budget()
        session = LoadSession(
            lambda: self._next_load(serving),
            self._clock,
            interrupt=self._watch,
            incident=self._incident,
            time_is_up=self._time_is_up,
        )
        try:
            return self._judge_until_final(session)
        finally:
            self._console.phase("waiting for the last answers")
            with effect(self._journal, Effect.STOP_LOAD):
                session.stop()

    def _await_start(self) -> None:
        """Raises AbortedError. What was begun goes on: where it stands, it is in service already."""
        if not is_intended(self._journal, Effect.DEPLOY):
            await_release(
                self._holds.start,
                lambda why: self._console.phase(f"the trial waits to begin: {why}"),
                self._watch,
                self._clock,
            )

    def _keep_within_budget(self) -> None:
        """Plan for the time that is left, once: what a run rests on never changes. Raises NotReadyError.

        Where that is still to be done, nothing has been judged yet.
        """
        if self._budget is not None and self._journal.last(Kind.BOUND) is None:
            bound = self._budget.fixed(self._plan, self._journal)
            self._plan = bound.of(self._plan)
            self._judging = StreamJudge(self._plan.claims)
            self._console.phase(bound.words)

    def _time_is_up(self) -> bool:
        return self._budget is not None and self._budget.is_over(self._plan)

    @property
    def _deploying(self) -> str:
        if self._plan.elsewhere:
            return "asking whether the arms answer; nothing is deployed"
        if self._backend.outlives_run:
            return "bringing the arms to the cluster"
        return "starting the model servers and the proxy"

    def _judge_until_final(self, session: LoadSession) -> Verdict:
        live = self._plan.experiment.spec.traffic.live
        self._console.phase("sending requests" if live is None else "watching users' requests")
        for table in session.batches():
            final = self._take(self._judging.feed(self._observed(table)))
            if final is not None:
                return final
        final = self._take(self._judging.close())
        if final is None:
            raise JournalError(f"run {self._folder.id}: the load ended and left no verdict")
        return final

    def _act(self, what: Effect, candidate: str) -> None:
        self._outcome = what, candidate
        if is_done(self._journal, what):
            return
        self._console.phase(self._plan.doing(what, candidate))
        outcome = self._plan.describe(what, candidate)
        with effect(self._journal, what, outcome=outcome):
            if self._plan.acts:
                self._apply(self._plan.after(what, self._position.step, candidate))
            released(self._backend)
        self._say(what.value, outcome)

    def _taking_over(self) -> TakeOver:
        return TakeOver(
            self._plan,
            self._folder.id,
            self._journal,
            self._backend,
            self._console,
            self._clock,
            self._registry,
            self._holds,
            self.watch_backend,
            self._interrupt_returns,
        )

    # ---- judging

    def _take(self, judgements: Iterator[Judgement]) -> Verdict | None:
        """Journal each look and go where it leads. Returns the run's verdict once there is one."""
        for judgement in in_turn(judgements, self._turn):
            fresh = [verdict for verdict in judgement.verdicts if self._record(verdict)]
            position = self._plan.advance(self._position, judgement.verdicts)
            if position != self._position and self._held.at(judgement.look.number):
                position = self._position
            moved, self._position = position.step != self._position.step, position
            if fresh and moved and self._deployed:
                self._shift()
            for verdict in fresh:
                self._console.look(verdict, self._fractions())
            if self._judging.done:
                return self._judging.outcome
        return None

    def _record(self, verdict: Verdict) -> bool:
        """Journal a look; False if an earlier process had. Raises JournalError if it saw another verdict."""
        document = verdict_to_dict(verdict)
        known = self._known_looks.get((verdict.look, verdict.candidate))
        if known is None:
            self._journal.append(Kind.LOOK, {"look": verdict.look, "verdict": document})
            return True
        if known["verdict"] != document["verdict"]:
            raise JournalError(
                f"run {self._folder.id} said {known['verdict']} at look {verdict.look}, and its observations "
                f"now say {document['verdict']}: they were changed, or another version judged them"
            )
        return False

    def _fractions(self) -> dict[str, float]:
        return {arm: percent / 100 for arm, percent in self._plan.steps[self._position.step].weights.items()}

    # ---- effects

    def _shift(self) -> None:
        step = self._plan.steps[self._position.step]
        with effect(self._journal, Effect.SHIFT, **_told(step)):
            self._apply(self._plan.at_step(self._position.step))
        self._say("shifted", f"traffic: {split_in_words(step)}")

    def _apply(self, wanted: tuple[SeldonDeployment, Route]) -> Serving:
        return applied(self._backend, *wanted, self._console.phase)

    def _next_load(self, serving: Serving) -> Load:
        live = self._plan.experiment.spec.traffic.live
        if live is not None:
            return self._next_feed(live, serving)
        begun = [
            entry.body["firstPart"]
            for entry in self._journal.entries(Kind.INTENDED)
            if entry.effect is Effect.LOAD
        ]
        wanted = load_plan(self._plan.experiment, serving, self._folder, alone=self._plan.alone, begun=begun)
        load = self._new_load(wanted)
        with effect(
            self._journal, Effect.LOAD, firstArrival=wanted.first_arrival, firstPart=wanted.first_part
        ):
            load.start()
        return load

    def _next_feed(self, live: Live, serving: Serving) -> Load:
        feed = self._watched(
            live_feed_of(
                self._plan,
                live,
                self._folder,
                self._journal,
                self._clock,
                self._incident,
                serving.namespace,
            )
        )
        with effect(self._journal, Effect.LOAD, source=live.source):
            feed.start()
        return feed

    # ---- what happens meanwhile

    def _watch(self) -> None:
        self.watch_backend()
        raise_if_aborted(self._journal, self._folder.id)

    def _incident(self, message: str) -> None:
        self._journal.append(Kind.INCIDENT, {"message": message})
        self._say("incident", message)

    def _say(self, kind: str, message: str) -> None:
        self._console.event(Event(self._clock.now(), kind, message))


def _told(step: Step) -> dict[str, Any]:
    """What the journal says of a step that is being served."""
    return {"revision": step.revision, "weights": dict(step.weights), "split": split_in_words(step)}
