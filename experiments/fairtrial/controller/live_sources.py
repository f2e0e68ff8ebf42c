"""The source that `traffic.live` names."""

from __future__ import annotations

from fairtrial_graphs.seldon.types import SeldonDeployment

from fairtrial.controller.live_feed import LiveSource
from fairtrial.controller.request_log import RequestLog
from fairtrial.errors import UsageError
from fairtrial.experiment.live import Live


def live_source(live: Live, deployment: SeldonDeployment, *, since: float) -> LiveSource:
    """since: when the run began to serve, seconds since the epoch."""
    name = f"{deployment.metadata.namespace or 'default'}/{deployment.metadata.name}"
    if live.collector is not None:
        return RequestLog(live.collector, name, since=since, window=live.feedback_window)
    raise UsageError("traffic.live.source: prometheus is not read by runs yet; use requestLog")
