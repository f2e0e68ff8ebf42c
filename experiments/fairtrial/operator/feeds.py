"""What an operator judges by: users' own requests, as `traffic.live` says where they are told of."""

from __future__ import annotations

from fairtrial_loadtests.plan import LoadPlan

from fairtrial.clock import Clock
from fairtrial.controller.live_sources import live_feed_of
from fairtrial.controller.load_session import StartableLoad
from fairtrial.errors import UsageError
from fairtrial.experiment.live import Live
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.interface import RunJournal
from fairtrial.operator.feed import AwayError
from fairtrial.planning.plan import Plan


def feed_of(plan: Plan, folder: RunFolder, journal: RunJournal, clock: Clock) -> LiveRequests:
    """Raises UsageError for an experiment that drives a load: that is of `fairtrial run`."""
    live = plan.experiment.spec.traffic.live
    if live is None:
        raise UsageError(
            "spec.traffic.loadTest: the operator judges users' own requests and drives no load; say "
            "traffic.live, or use `fairtrial run --backend kubernetes`"
        )
    return LiveRequests(plan, live, folder, journal, clock)


class LiveRequests:
    """Implements `Feed`: the controller reads on by itself, and what it had read is read again here."""

    def __init__(self, plan: Plan, live: Live, folder: RunFolder, journal: RunJournal, clock: Clock) -> None:
        self._plan = plan
        self._live = live
        self._folder = folder
        self._journal = journal
        self._clock = clock

    def restore(self) -> None:
        """See `Feed`. What has come meanwhile is read with it."""
        troubles: list[str] = []
        feed = live_feed_of(self._plan, self._live, self._folder, self._journal, self._clock, troubles.append)
        feed.start()
        while feed.poll():
            pass
        if not feed.alive or troubles:
            raise AwayError(feed.error or troubles[0])

    def load(self, plan: LoadPlan) -> StartableLoad:
        raise NotImplementedError("live traffic is read by the controller")
