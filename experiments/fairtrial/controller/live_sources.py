"""The source that `traffic.live` names."""

from __future__ import annotations

from fairtrial_graphs.backends.interface import Serving

from fairtrial.clock import Clock
from fairtrial.controller.live_feed import LiveSource
from fairtrial.controller.prometheus_source import Prometheus
from fairtrial.controller.request_log import RequestLog
from fairtrial.planning.plan import Plan

_HISTOGRAM = "seldon_api_executor_client_requests_seconds_bucket"


def live_source(plan: Plan, serving: Serving, clock: Clock, *, since: float) -> LiveSource:
    """since: when the run began to serve, seconds since the epoch."""
    live, metadata = plan.experiment.spec.traffic.live, plan.deployment.metadata
    assert live is not None, "only live traffic has a source"
    if live.collector is not None:
        name = f"{serving.namespace or metadata.namespace or 'default'}/{metadata.name}"
        return RequestLog(live.collector, name, since=since, window=live.feedback_window)
    assert live.server is not None, "the model demands it"
    return Prometheus(
        live.server,
        live.histogram or f'{_HISTOGRAM}{{deployment_name="{metadata.name}"}}',
        clock,
        since=since,
        interval=live.scrape_interval,
        levels=[metric.slo for metric in plan.claims.metrics if metric.slo is not None],
    )
