"""The source that `traffic.live` names."""

from __future__ import annotations

import os
from collections.abc import Callable

from fairtrial.clock import Clock
from fairtrial.collect.access import TOKEN_VARIABLE
from fairtrial.controller.effects import done
from fairtrial.controller.live_feed import LiveFeed, LiveSource
from fairtrial.controller.prometheus_source import Prometheus
from fairtrial.controller.request_log import RequestLog
from fairtrial.controller.segments import Segments
from fairtrial.experiment.live import Live
from fairtrial.journal.entries import Effect
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.interface import RunJournal
from fairtrial.planning.plan import Plan

_HISTOGRAM = "seldon_api_executor_client_requests_seconds_bucket"


def live_feed_of(
    plan: Plan,
    live: Live,
    folder: RunFolder,
    journal: RunJournal,
    clock: Clock,
    tell: Callable[[str], None],
    namespace: str | None = None,
) -> LiveFeed:
    """What reads on where the run's observations end. tell: journals and shows a sentence.

    namespace: where the arms are served, unless the plan's deployment says so.
    """
    began = done(journal, Effect.DEPLOY)
    assert began is not None, "nothing is read before it is served"
    return LiveFeed(
        live_source(plan, clock, since=began.time, namespace=namespace),
        live,
        folder.observations,
        clock,
        segments=lambda times: Segments(journal.entries()).at(times),
        tell=tell,
    )


def live_source(plan: Plan, clock: Clock, *, since: float, namespace: str | None = None) -> LiveSource:
    """since: when the run began to serve, seconds since the epoch."""
    live, metadata = plan.experiment.spec.traffic.live, plan.deployment.metadata
    assert live is not None, "only live traffic has a source"
    if live.collector is not None:
        name = f"{namespace or metadata.namespace or 'default'}/{metadata.name}"
        token = os.environ.get(TOKEN_VARIABLE)
        return RequestLog(live.collector, name, since=since, window=live.feedback_window, token=token)
    assert live.server is not None, "the model demands it"
    return Prometheus(
        live.server,
        live.histogram or f'{_HISTOGRAM}{{deployment_name="{metadata.name}"}}',
        clock,
        since=since,
        interval=live.scrape_interval,
        levels=[metric.slo for metric in plan.claims.metrics if metric.slo is not None],
    )
