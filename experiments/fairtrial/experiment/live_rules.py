"""What live traffic demands of the rest of the file."""

from __future__ import annotations

from collections.abc import Iterator

from fairtrial.experiment.analysis import Analysis
from fairtrial.experiment.base import Mistake, raise_mistakes
from fairtrial.experiment.live import MOST_LOOKS, Live
from fairtrial.experiment.metrics import Metric
from fairtrial.experiment.quantities import format_duration
from fairtrial.experiment.strategy import Strategy
from fairtrial.experiment.traffic import LoadTest, Traffic

#: What the collector tells of a request, beside the documented columns.
LIVE_COLUMNS = ("latency", "error", "score", "absoluteError", "squaredError", "reward")


def mistakes_of_live(strategy: Strategy) -> Iterator[Mistake]:
    """Below `traffic`: a candidate that no request reaches cannot be judged by requests."""
    blue_green = strategy.blue_green
    if blue_green is not None and blue_green.preview == "loadTest":
        yield (
            ("live",),
            "blueGreen sends no requests to the candidate; say `preview: shadow`, or drive a loadTest",
        )


def mistakes_of_users(traffic: Traffic) -> Iterator[Mistake]:
    """Below `analysis`: what users are judged by must name them."""
    live = traffic.live
    if live is None:
        if traffic.driven.requests.unit is None:
            yield ("unit",), "say which column names the user: traffic.loadTest.requests.unit"
    elif live.source == "prometheus":
        yield ("unit",), "prometheus does not know users; judge by request"
    elif live.unit is None:
        yield ("unit",), "say where a request names its user: traffic.live.unit"


def mistakes_of_metrics(live: Live, metrics: tuple[Metric, ...]) -> Iterator[Mistake]:
    """Below `metrics`: what the source cannot tell."""
    for i, metric in enumerate(metrics):
        if live.source == "prometheus":
            told = metric.column == "error" or (
                metric.column == "latency" and (metric.quantile is not None or metric.slo is not None)
            )
            if not told:
                yield (
                    (i, "name"),
                    "prometheus tells error rates, quantiles of latency and exceedances of an SLO, and no "
                    f'"{metric.name}"',
                )
            continue
        for column in (metric.column, metric.denominator, metric.covariate):
            if column is not None and column not in LIVE_COLUMNS:
                yield (
                    (i, "name"),
                    f'"{metric.name}" needs {column}, which the request log does not tell; it has '
                    f"{', '.join(LIVE_COLUMNS)}",
                )


def looked_at(analysis: Analysis, traffic: Live | LoadTest) -> Analysis:
    """The analysis with its default for what lasts too long for a look a second, as live traffic does."""
    said = analysis.model_fields_set
    if "look_interval" not in said:
        usual = {**dict(analysis), "look_interval": traffic.usual_interval}
        return Analysis.model_construct(_fields_set=set(said), **usual)
    if isinstance(traffic, LoadTest):
        return analysis
    live = traffic
    if live.max_duration / analysis.look_interval > MOST_LOOKS:
        least = format_duration(live.max_duration / MOST_LOOKS)
        raise_mistakes(
            [
                (
                    ("lookInterval",),
                    f"more than {MOST_LOOKS:,} looks until traffic.live.maxDuration; say at least {least}",
                )
            ]
        )
    return analysis
