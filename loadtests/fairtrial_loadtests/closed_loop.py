"""A team's own Locust users as a load: whatever they ask is an observation of the arm that answered.

They are a closed loop: a user waits for an answer before it asks again. So what a slow server was not asked
meanwhile is not there, and latency counts from the send that was, not from one that was meant.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import gevent
from gevent.event import Event
from locust import events
from locust.env import Environment
from locust.user import User
from locust.util.load_locustfile import load_locustfile

from fairtrial_loadtests.arrivals import Boundary
from fairtrial_loadtests.errors import BadLoadError
from fairtrial_loadtests.locust_runner import statistics
from fairtrial_loadtests.parts import request_id
from fairtrial_loadtests.plan import LoadPlan, Users
from fairtrial_loadtests.recorder import Observation, Recorder

#: Names the environment variable in which a locustfile finds the addresses of the arms, as JSON.
ARMS = "FAIRTRIAL_ARMS"
_MARGIN = 1.0  # seconds, over the time that an answer may take, until a request is told


class ClosedLoop:
    """The users of a plan, from start to end; like a `Load` to whoever writes what it records.

    Raises BadLoadError if the locustfile has no users or cannot be imported.
    """

    def __init__(self, plan: LoadPlan, users: Users, recorder: Recorder) -> None:
        self.next_arrival = plan.first_arrival
        self.reason = "maxDuration"
        self.bug: Exception | None = None
        self.done = Event()
        self._plan = plan
        self._users = users
        self._recorder = recorder
        self._held_back = plan.timeout + _MARGIN
        self._stopped = Event()
        os.environ[ARMS] = json.dumps({target.arm: target.url for target in plan.targets})
        self._classes, self._shapes = _imported(users)

    @property
    def watermark(self) -> float:
        """The moment before which no request that is still open has begun, unless it takes far too long."""
        moment = time.time() - self._recorder.epoch - self._held_back
        self._recorder.boundary(Boundary(moment, self.next_arrival))
        return moment

    def stop(self, reason: str) -> None:
        """End all users; what they wait for is not recorded."""
        if not self._stopped.is_set():
            self.reason = reason
            self._stopped.set()

    def run(self, wait: Callable[[], None]) -> dict[str, object]:
        """Run the users; `wait` is called meanwhile, and returns when they have ended. Gives `statistics`."""
        host = self._plan.split.url if self._plan.split else self._plan.targets[0].url
        for each in self._classes:
            each.host = each.host or host  # an environment's would replace those of the classes
        environment = Environment(user_classes=self._classes, events=events)
        runner = environment.create_local_runner()
        environment.events.init.fire(environment=environment, runner=runner, web_ui=None)
        self._recorder.epoch = time.time()
        environment.events.request.add_listener(self._record)
        if self._shapes:
            environment.shape_class = self._shapes[0]
            runner.start_shape()
        else:
            runner.start(self._users.count, spawn_rate=self._users.count)
        gevent.spawn(self._end, runner)
        wait()
        return statistics(environment)

    def _end(self, runner: Any) -> None:
        self._stopped.wait(max(0.0, self._plan.arrivals.max_duration - self._plan.loaded))
        self._stopped.set()
        runner.quit()
        self.done.set()

    def _record(
        self,
        *,
        name: str,
        response_time: float | None,
        start_time: float | None = None,
        response: Any = None,
        exception: Any = None,
        url: str | None = None,
        **_: Any,
    ) -> None:
        # Locust only logs what a listener raises, and the observation would be missing.
        try:
            self._take(name, response_time or 0.0, start_time, response, exception, url or "")
        except Exception as bug:  # noqa: BLE001
            self.bug = bug
            self.stop("error")

    def _take(
        self, name: str, milliseconds: float, start: float | None, response: Any, exception: Any, url: str
    ) -> None:
        latency = milliseconds / 1000
        began = start if start is not None else time.time() - latency
        # One that took longer than it may comes after what was told of its moment: then it counts as later.
        moment = max(began - self._recorder.epoch, self._recorder.reached.time, 0.0)
        status = int(getattr(response, "status_code", None) or (0 if exception else 200))
        if exception is not None and 200 <= status < 300:
            status = 0  # answered, but not as its user wants it
        headers: Mapping[str, str] = getattr(response, "headers", None) or {}
        split = self._plan.split
        arm = (headers.get(split.arm_header) or "") if split else ""
        segment = headers.get(split.segment_header) if split else None
        self._recorder.add(
            Observation(
                arm or self._arm_at(str(getattr(response, "url", None) or url)), moment, latency, status,
                request_id(self.next_arrival, name), None, None, None, segment, moment,
                None, None, None, None,
            )
        )  # fmt: skip
        self.next_arrival += 1

    def _arm_at(self, url: str) -> str:
        """The arm that has this address to itself; "" if none has."""
        return next(
            (target.arm for target in self._plan.targets if url.startswith(f"{target.url.rstrip('/')}/")), ""
        )


def users_of(plan: LoadPlan, recorder: Recorder) -> ClosedLoop:
    """The users of a plan that has some. Raises BadLoadError as `ClosedLoop` does."""
    assert plan.users is not None
    return ClosedLoop(plan, plan.users, recorder)


def _imported(users: Users) -> tuple[list[type[User]], list[Any]]:
    file = users.locustfile
    try:
        classes, shapes = load_locustfile(str(file))
    except (Exception, SystemExit) as error:
        told = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".")
        raise BadLoadError(f"The locustfile {file} cannot be imported: {told}.") from error
    found = [each for each in classes.values() if not each.abstract]
    if not found:
        raise BadLoadError(f"The locustfile {file} has no users: write a class derived from locust.User.")
    return found, shapes
