"""The load as a Locust user, run by Locust as a library.

One user of fixed count is the scheduler; every request is told to `events.request`, so that Locust's
statistics, and whatever a team listens with, see the load. Importing this module imports Locust, which
lets gevent patch the process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import locust
from locust.env import Environment
from locust.exception import StopUser
from locust.user import User, task

from fairtrial_loadtests.load import Load


class OpenArrivals(User):
    """Sends `load`, whose requests are no single user's."""

    abstract = True
    fixed_count = 1
    load: ClassVar[Load]

    @task
    def arrivals(self) -> None:
        fire = self.environment.events.request.fire

        def report(**request: Any) -> None:
            fire(request_type="POST", context={}, **request)

        self.load.run(report)
        raise StopUser


def user_of(load: Load) -> type[OpenArrivals]:
    """The user that sends this load, named as all such users are."""
    return type("OpenArrivals", (OpenArrivals,), {"abstract": False, "load": load})


def statistics(environment: Environment) -> dict[str, object]:
    """Locust's version, and the requests and failures in its statistics."""
    total = environment.stats.total
    return {
        "version": locust.__version__,
        "requests": total.num_requests,
        "failures": total.num_failures,
    }


def run_in_locust(load: Load, wait: Callable[[], None]) -> dict[str, object]:
    """Run `load` to its end; `wait` is called meanwhile and returns when the load is done.

    Returns what `statistics` says.
    """
    environment = Environment(user_classes=[user_of(load)])
    runner = environment.create_local_runner()
    runner.start(user_count=1, spawn_rate=1)
    try:
        wait()
    finally:
        runner.quit()
    return statistics(environment)
