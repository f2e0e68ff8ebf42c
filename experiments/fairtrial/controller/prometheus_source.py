"""Prometheus as a source of live evidence: the executor's histograms, weaker than single requests.

It is asked for the counters at moments of a grid that begins with the run, each once the scrape that it rests
on must have been made: whoever asks again for the same moments gets the same.
"""

from __future__ import annotations

import http.client
import json
import math
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import numpy as np

from fairtrial.clock import Clock
from fairtrial.controller.live_feed import ProviderError, Reading
from fairtrial.controller.scrapes import ARM_LABELS, Labels, Scrapes, edges_of, observations_of
from fairtrial.errors import UsageError
from fairtrial.evidence.arrow import FloatArray

_TIMEOUT = 10.0  # seconds
_MOST = 240  # moments of one reading
_LAG = 1.5  # scrape intervals until a scrape is stored for certain
_MEMORY = "6h"  # a process that was not seen for so long began anew


class Prometheus:
    """The buckets that a selector names, from when the run began."""

    def __init__(
        self,
        server: str,
        selector: str,
        clock: Clock,
        *,
        since: float,
        interval: float,
        levels: Sequence[float] = (),
    ) -> None:
        """since, interval: seconds. levels: latencies that must be edges of the histogram, for an SLO."""
        self._server = server.rstrip("/")
        self._selector = selector
        self._clock = clock
        self._since = math.ceil(since)
        self._interval = interval
        self._levels = levels
        self._idle_until: float | None = None  # nothing came up to then, since the last that came

    @property
    def name(self) -> str:
        return f"Prometheus at {self._server}"

    def read(self, after: int | None) -> Reading:
        """See `LiveSource.read`; a number is a moment in milliseconds."""
        start = self._since if after is None else after / 1000
        start = max(start, self._idle_until or start)
        known = self._clock.now() - _LAG * self._interval
        steps = min(_MOST, math.floor((known - start) / self._interval + 1e-9))
        if steps < 1:
            return Reading(observations_of(Scrapes(np.zeros(0), {}, {})))
        moments = start + self._interval * np.arange(1, steps + 1, dtype=np.float64)
        before = self._ask("query", query=f"last_over_time({self._selector}[{_MEMORY}])", time=f"{start:.3f}")
        counted = self._ask(
            "query_range",
            query=self._selector,
            start=f"{moments[0]:.3f}",
            end=f"{moments[-1]:.3f}",
            step=f"{self._interval:g}",
        )
        scrapes = Scrapes(
            moments,
            {labels: _at(moments, points["values"]) for labels, points in counted.items()},
            {labels: float(points["value"][1]) for labels, points in before.items()},
        )
        self._check(scrapes)
        table = observations_of(scrapes)
        self._idle_until = None if table.num_rows else float(moments[-1])
        return Reading(table, more=steps == _MOST, span=self._interval)

    def _ask(self, what: str, **parameters: str) -> dict[Labels, Any]:
        """The series of an answer, by their labels."""
        url = f"{self._server}/api/v1/{what}?{urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
                document = json.loads(answer.read())
            result: list[dict[str, Any]] = document["data"]["result"]
            return {_labels(each["metric"]): each for each in result}
        except urllib.error.HTTPError as error:
            with error:
                said = _said(error.read(2000))
            if error.code in (400, 404, 422):
                raise UsageError(f"{self.name} cannot answer for {self._selector}: {said}") from error
            raise ProviderError(f"{self.name} answers {error.code}: {said}") from error
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise ProviderError(f"{self.name} does not answer: {reason}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{self.name} answers nothing that Prometheus would answer") from error

    def _check(self, scrapes: Scrapes) -> None:
        """Raises UsageError for what would be judged wrongly or never."""
        if not scrapes.buckets:
            return
        edges = edges_of(scrapes.buckets)
        if not edges:
            raise UsageError(f"{self._selector} has no label le: it must select the buckets of a histogram")
        if not any(dict(labels).keys() & set(ARM_LABELS) for labels in scrapes.buckets):
            raise UsageError(f"{self._selector} has no label {' or '.join(ARM_LABELS)} to tell arms by")
        for level in self._levels:
            if not np.isclose(edges, level, rtol=1e-9, atol=0).any():
                listed = ", ".join(f"{edge:g}" for edge in edges)
                raise UsageError(
                    f"{self._selector} has no edge (le) at the SLO of {level:g} s; there are {listed}"
                )


def _labels(metric: dict[str, str]) -> Labels:
    return frozenset((name, value) for name, value in metric.items() if name != "__name__")


def _at(moments: FloatArray, values: Sequence[Any]) -> FloatArray:
    """[T] the values at the moments, NaN where there is none."""
    found = {round(float(at), 3): float(value) for at, value in values}
    return np.array([found.get(round(float(moment), 3), np.nan) for moment in moments])


def _said(content: bytes) -> str:
    try:
        return str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        return content[:200].decode("utf-8", "replace")
