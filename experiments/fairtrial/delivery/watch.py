"""The closed loop: what triggers tell becomes events, and each event is worked on to its end, one at a time.

Everything that must not be lost is in the pipeline's state, so that the process may be killed anywhere: the
next one has the version in service serve again, and goes on with the first event that is not done with.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from fairtrial.delivery.adopting import notice
from fairtrial.delivery.inbox import Inbox, Taken
from fairtrial.delivery.means import Means
from fairtrial.delivery.polling import Poller
from fairtrial.delivery.postponing import PostponedError
from fairtrial.delivery.reacting import give_up, handle, is_urgent
from fairtrial.delivery.state import StateError
from fairtrial.errors import AbortedError, FairtrialError, NotReadyError
from fairtrial.pauses import pause_after

_IDLE_SECONDS = 0.5
_LOOK_SECONDS = 30.0  # between looks at who has the champion's alias
_FIRST, _LONGEST = 2.0, 300.0  # seconds until what could not be done is tried again
_LONGEST_WITHOUT = 30.0  # the same while nothing serves


class Watch:
    """Of one pipeline, in the thread that calls `run`. The caller holds the pipeline's lock."""

    def __init__(self, means: Means, poller: Poller, tell: Callable[[], None], wake: threading.Event) -> None:
        """tell: makes the ledger's new entries known. wake: set by whoever puts something into the inbox."""
        self._means = means
        self._inbox = Inbox(means.state)
        self._poller = poller
        self._tell = tell
        self._wake = wake
        self._not_before: dict[int, float] = {}  # by event: when it is tried again
        self._failures: dict[int, int] = {}
        self._cut_off: set[int] = set()  # events that were, until they are done
        self._postponed: set[int] = set()  # events whose trial waits for its window, and has changed nothing
        self._looked = float("-inf")

    def run(self) -> None:
        """Until interrupted."""
        self._serve_champion()
        with self._polling() as polling:
            while not polling.done():
                if not self.work():
                    self._wake.wait(_IDLE_SECONDS)
                    self._wake.clear()
            polling.result()  # raises what ended it: a watch that hears nothing is none

    def run_once(self) -> None:
        """Ask every trigger once, and bring to its end all that waits then. Raises NotReadyError at the end
        where one did not answer.
        """
        self._notice()
        self._poller.poll(self._inbox, at_once=True)
        failed: list[str] = []
        while (taken := self._next()) is not None:
            try:
                self._work_on(taken, again=False)
            except NotReadyError as error:
                failed.append(f"{taken.event.summary}: {error}")
                self._not_before[taken.seq] = math.inf
            self._poller.poll(self._inbox)
        self._tell()
        if away := [*failed, *self._poller.away]:
            raise NotReadyError("\n".join(away))

    def work(self) -> bool:
        """Work on the next event, or else on what comes up meanwhile; whether there was an event."""
        taken = self._next()
        if taken is not None:
            self._work_on(taken, again=True)
        self._tell()
        for incident in self._means.service.incidents():
            self._means.say(incident)
        if taken is None and self._means.clock.now() >= self._looked + _LOOK_SECONDS:
            self._notice()
        return taken is not None

    def _serve_champion(self) -> None:
        """Users first: whoever has the alias serves before anything else is done."""
        for failures in itertools.count(1):
            try:
                self._serve_holder()
            except NotReadyError as error:
                pause = pause_after(failures, _FIRST, _LONGEST_WITHOUT)
                self._means.say(f"{error}; it is tried again in {pause:g} s")
                self._means.clock.sleep(pause)
                if self._worked_on_something_urgent():
                    return  # a way back to a version that does serve
            else:
                self._notice()
                return

    def _worked_on_something_urgent(self) -> bool:
        taken = self._next()
        if taken is None or not is_urgent(self._means, taken.event):
            return False
        self._work_on(taken, again=True)
        return self._means.serving() is not None

    def _serve_holder(self) -> None:
        means = self._means
        holder = means.registry.holder(means.champion_alias)
        if holder is None:
            means.say(f"nobody has the alias {means.champion_alias} yet: the first version gets it")
            return
        if means.service.outlives and means.serving() is not None:
            return  # it does, and a trial that was cut off may hold it
        url = means.service.serve(means.pinned(holder))
        means.say(f"version {holder.version} is in service at {url}")

    def _next(self) -> Taken | None:
        """What is urgent comes first, and then in the order in which things came.

        What was cut off for something urgent comes after that, also where it is urgent itself: a rollback
        whose retraining was ended would be begun anew, and cut off, for ever.
        """

        def rank(each: Taken) -> tuple[bool, bool, int]:
            return each.seq in self._cut_off, not is_urgent(self._means, each.event), each.seq

        return min(self._due(), key=rank, default=None)

    def _due(self) -> list[Taken]:
        now = self._means.clock.now()
        return [each for each in self._inbox.waiting() if self._not_before.get(each.seq, 0.0) <= now]

    def _work_on(self, taken: Taken, *, again: bool) -> None:
        self._postponed.discard(taken.seq)
        try:
            handle(self._means, taken, lambda: self._something_urgent(taken))
        except AbortedError as error:
            if not self._something_urgent(taken):  # a person ended it, or nobody approved in time
                give_up(self._means, taken, str(error))
                return
            self._cut_off.add(taken.seq)
            self._means.say(
                f"{taken.event.summary}: cut off by what is more urgent; it is begun anew after that"
            )
        except StateError:
            raise
        except PostponedError as error:
            self._not_before[taken.seq] = error.until
            self._postponed.add(taken.seq)
            self._means.say(f"{taken.event.summary}: {error}")
        except NotReadyError as error:
            if not again:
                raise
            self._later(taken, error)
        except FairtrialError as error:
            give_up(self._means, taken, str(error))

    def _something_urgent(self, taken: Taken) -> bool:
        return any(each.seq != taken.seq and is_urgent(self._means, each.event) for each in self._due())

    def _later(self, taken: Taken, error: FairtrialError) -> None:
        failures = self._failures[taken.seq] = self._failures.get(taken.seq, 0) + 1
        pause = pause_after(failures, _FIRST, _LONGEST)
        self._not_before[taken.seq] = self._means.clock.now() + pause
        self._means.say(f"{taken.event.summary}: {error}; it is tried again in {pause:g} s")

    def _notice(self) -> None:
        self._looked = self._means.clock.now()
        if any(each.seq not in self._postponed for each in self._inbox.waiting()):
            return
        try:
            notice(self._means)
        except NotReadyError as error:
            self._means.say(f"{error}; it is asked again")

    @contextmanager
    def _polling(self) -> Generator[Future[None]]:
        ended = threading.Event()
        with ThreadPoolExecutor(1, "fairtrial-poll") as thread:
            try:
                yield thread.submit(self._poller.serve, ended, self._wake)
            finally:
                ended.set()
