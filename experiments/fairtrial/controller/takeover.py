"""A candidate takes over: from the verdict to who serves, and where it is made known.

It may have to wait, for a person, a window or a baseline that is down; the baseline may be kept for a
while. Whoever asks for the end meanwhile gets it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from fairtrial_graphs.backends.interface import Backend, Serving

from fairtrial.clock import Clock
from fairtrial.console.interface import Console
from fairtrial.controller.aborted import raise_if_aborted
from fairtrial.controller.applying import applied
from fairtrial.controller.effects import done, effect, is_done, is_intended
from fairtrial.controller.holding import Holds, await_release
from fairtrial.experiment.quantities import format_duration
from fairtrial.journal.entries import Effect, Kind
from fairtrial.journal.interface import RunJournal
from fairtrial.judge.verdict import Verdict
from fairtrial.planning.plan import Plan
from fairtrial.registry.interface import Registry
from fairtrial.report.history import Event

_POLL_SECONDS = 0.2


class TakeOver:
    """First `prepare`, then the effect itself, which is the caller's, then `register`."""

    def __init__(
        self,
        plan: Plan,
        run: str,
        journal: RunJournal,
        backend: Backend,
        console: Console,
        clock: Clock,
        registry: Registry | None,
        holds: Holds,
        watch_backend: Callable[[], None],
        interrupt_returns: bool,
    ) -> None:
        """run: its id. watch_backend: tells what died, and raises InterferedError.

        interrupt_returns: whether a signal while the baseline is kept asks for it back; else it only ends
        the process, and the next one goes on.
        """
        self._plan = plan
        self._run = run
        self._journal = journal
        self._backend = backend
        self._console = console
        self._clock = clock
        self._registry = registry
        self._holds = holds
        self._watch_backend = watch_backend
        self._interrupt_returns = interrupt_returns

    def prepare(self, candidate: str) -> None:
        """Wait until it may take over, and exchange it for a baseline that is kept.

        Raises AbortedError, InterferedError, NotReadyError.
        """
        if not self._is_under_way:
            self._await_release(candidate)
        if self._plan.keep_for is not None:
            self._exchange(candidate, self._plan.keep_for)

    def register(self, final: Verdict) -> None:
        """Make the promotion known. After the traffic: a registry must not name what does not serve."""
        if self._registry is None or is_done(self._journal, Effect.REGISTER):
            return
        self._console.phase(f"registering {final.candidate}")
        with effect(self._journal, Effect.REGISTER, candidate=final.candidate) as details:
            registered = self._registry.promote(
                self._plan.artifacts(final.candidate),
                run=self._run,
                tags={"fairtrial.verdict": final.decision.value, "fairtrial.candidate": final.candidate},
            )
            details |= {"outcome": registered.sentence, "version": registered.version}
        self._say("registered", registered.sentence)

    @property
    def _is_under_way(self) -> bool:
        """What was begun goes on to its end: it may have happened, and the answer have been lost."""
        return is_done(self._journal, Effect.SWITCH) or is_intended(self._journal, Effect.PROMOTE)

    def _await_release(self, candidate: str) -> None:
        raise_if_aborted(self._journal, self._run)
        await_release(
            self._holds.promotion,
            lambda why: self._console.phase(f"{candidate} waits to be promoted: {why}"),
            self._watch,
            self._clock,
        )
        raise_if_aborted(self._journal, self._run)

    def _watch(self) -> None:
        self._watch_backend()
        raise_if_aborted(self._journal, self._run)

    def _exchange(self, candidate: str, keep_for: float) -> None:
        """Switch to the candidate, and stay ready for `keep_for` seconds to return to the baseline at once.

        The time counts from the switch, whoever made it: what passed while the run was cut off is over.
        A signal that asks for the way back is journalled as `fairtrial abort` is: a run that is killed on its
        way back goes on that way. Raises AbortedError, and KeyboardInterrupt where it asks for nothing.
        """
        if is_intended(self._journal, Effect.PROMOTE):
            return
        try:
            raise_if_aborted(self._journal, self._run)
            if not is_done(self._journal, Effect.SWITCH):
                self._switch(candidate)
            switched = done(self._journal, Effect.SWITCH)
            assert switched is not None, "it was switched just now"
            self._serve_both(candidate, switched.time + keep_for)
        except KeyboardInterrupt:
            if not self._interrupt_returns:
                raise
            self._journal.append(Kind.ABORT)
        raise_if_aborted(self._journal, self._run)

    def _switch(self, candidate: str) -> None:
        self._console.phase(self._plan.doing(Effect.SWITCH, candidate))
        outcome = self._plan.describe(Effect.SWITCH, candidate)
        weights = {self._plan.baseline: 0, candidate: 100}
        with effect(
            self._journal, Effect.SWITCH, outcome=outcome, revision=Effect.SWITCH.value, weights=weights
        ):
            self._serve(candidate)
        self._say(Effect.SWITCH.value, outcome)

    def _serve_both(self, candidate: str, until: float) -> None:
        if self._clock.now() >= until:
            return
        serving = self._serve(candidate)  # nothing happens where both are served
        left = format_duration(max(0, math.ceil(until - self._clock.now())))
        self._console.phase(
            f"{candidate} serves at {serving.url}; {self._plan.baseline} is kept for {left} more: "
            f"{'Ctrl-C or ' if self._interrupt_returns else ''}`fairtrial abort` returns to it"
        )
        while (left := until - self._clock.now()) > 0 and self._journal.last(Kind.ABORT) is None:
            self._watch_backend()
            self._clock.sleep(min(left, _POLL_SECONDS))

    def _serve(self, candidate: str) -> Serving:
        return applied(self._backend, *self._plan.switched(candidate), self._console.phase)

    def _say(self, kind: str, message: str) -> None:
        self._console.event(Event(self._clock.now(), kind, message))
