"""Traffic that is not ours: users' requests, as the request log or Prometheus tell of them."""

from __future__ import annotations

import math
from typing import Literal, Self
from urllib.parse import urlencode

from pydantic import Field, model_validator

from fairtrial.experiment.base import Mistake, Part, raise_mistakes
from fairtrial.experiment.quantity_types import Duration, Rate

#: Looks that a boundary is calibrated for within seconds.
MOST_LOOKS = 1000
_USUAL_LOOKS = 360
_URL = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"

_Policy = Literal["hold", "inconclusive"]


def usual_interval(duration: float) -> float:
    """Seconds between looks at a trial of so many seconds: of a long one not every second."""
    return float(math.ceil(duration / _USUAL_LOOKS))


class Live(Part):
    """Users' own requests: nothing is sent, and what they bring is judged."""

    source: Literal["requestLog", "prometheus"] = Field(
        description="requestLog: Seldon's request logger, request by request, through `fairtrial collect`. "
        "prometheus: the executor's histograms, which tell error rates and latencies only.",
        examples=["requestLog"],
    )
    collector: str | None = Field(
        default=None,
        pattern=_URL,
        description="With requestLog, where `fairtrial collect` is. Default: none.",
        examples=["http://fairtrial-collector:8080"],
    )
    log_to: str | None = Field(
        default=None,
        pattern=_URL,
        description="The collector's address as the models' pods reach it. Default: the same.",
        examples=["http://fairtrial-collector.fairtrial:8080"],
    )
    server: str | None = Field(
        default=None,
        pattern=_URL,
        description="With prometheus, the address of its server. Default: none.",
        examples=["http://prometheus:9090"],
    )
    histogram: str | None = Field(
        default=None,
        min_length=1,
        description="With prometheus, the selector of a histogram's buckets that have the arm in the label "
        "predictor_name or arm. Default: the client requests of Seldon's executor, of this deployment.",
        examples=['seldon_api_executor_client_requests_seconds_bucket{namespace="team"}'],
    )
    scrape_interval: Duration = Field(
        default=15.0,
        description="With prometheus, how often it scrapes; what comes between two scrapes is known "
        "together. Default: 15s.",
        examples=["30s"],
    )
    max_duration: Duration = Field(
        default=3600.0,
        description="When the trial ends without a decision; time without any request does not count. With "
        "the rate it sets the horizon. Default: 1h.",
        examples=["6h"],
    )
    expected_rate: Rate = Field(
        default=10.0,
        description="Requests a second, minute or hour that users are expected to send to all arms "
        "together; the horizon is planned by it. Default: 10/s.",
        examples=["50/s"],
    )
    feedback_window: Duration = Field(
        default=10.0,
        description="How long a request waits for its answer, and for its truth or reward, before it is "
        "counted as it then stands; what comes later is not counted. Default: 10s.",
        examples=["15m"],
    )
    unit: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.-]+$",
        max_length=100,
        description="With requestLog, where a request names its user: `id`, or the name of a parameter (a "
        "tag of Seldon's messages). Default: nowhere, each request stands for itself.",
        examples=["customer"],
    )
    on_provider_error: _Policy = Field(
        default="hold",
        description="What is done when the collector or Prometheus does not answer for as long as "
        "`patience`: wait on, or end without a decision. It is never held against an arm. Default: hold.",
    )
    on_no_data: _Policy = Field(
        default="hold",
        description="What is done when no request comes for as long as `patience`: wait on, or end without "
        "a decision. Default: hold.",
    )
    patience: Duration = Field(
        default=300.0,
        description="How long nothing may come. Default: 5m.",
        examples=["10m"],
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        raise_mistakes([*self._of_source(), *self._of_durations()])
        return self

    def _of_source(self) -> list[Mistake]:
        needed, other = ("collector", "server") if self.source == "requestLog" else ("server", "collector")
        found: list[Mistake] = []
        if getattr(self, needed) is None:
            found.append(((needed,), f"required with {self.source}: an address such as http://host:8080"))
        if getattr(self, other) is not None:
            found.append(((other,), f"{self.source} has none; remove it"))
        if self.source == "prometheus":
            found += [
                ((alias,), "prometheus knows no single requests; remove it")
                for alias, value in (("logTo", self.log_to), ("unit", self.unit))
                if value is not None
            ]
        elif self.histogram is not None:
            found.append((("histogram",), "the request log has single requests; remove it"))
        return found

    def _of_durations(self) -> list[Mistake]:
        found: list[Mistake] = [
            ((name,), "expected more than 0s")
            for name, seconds in (("maxDuration", self.max_duration), ("patience", self.patience))
            if seconds <= 0
        ]
        if self.scrape_interval < 1:
            found.append((("scrapeInterval",), "expected at least 1s"))
        if self.feedback_window < 1:
            found.append((("feedbackWindow",), "expected at least 1s: events come a moment late"))
        return found

    @property
    def usual_interval(self) -> float:
        """Seconds between looks where nothing is said: of a long trial not every second."""
        least = self.scrape_interval if self.source == "prometheus" else 1.0
        return max(float(math.ceil(least)), usual_interval(self.max_duration))

    @property
    def logger_url(self) -> str | None:
        """Where the request logger posts to; None where there is none."""
        where = self.log_to or self.collector
        if where is None:
            return None
        query = f"?{urlencode({'unit': self.unit})}" if self.unit is not None else ""
        return f"{where.rstrip('/')}/{query}"
