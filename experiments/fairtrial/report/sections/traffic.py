"""Who got which traffic when, and what was done to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from fairtrial.report import figures
from fairtrial.report.drawing import BAD, MUTED, arm_colour, plot
from fairtrial.report.history import Event, History
from fairtrial.report.observed import Observed, read
from fairtrial.report.scale import time_unit
from fairtrial.report.sections.latency import arms_of
from fairtrial.report.templating import render

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_MARKS = 24


class TrafficSection:
    anchor = "traffic"
    title = "Traffic and timeline"

    def render(self, history: History) -> Markup:
        observed = read(history.observations)
        arms = arms_of(history, observed)
        drawn = None
        if observed.size or history.shifts:
            drawn = _draw(history, observed, arms)
        return render(
            "traffic.html",
            svg=drawn,
            arms=[(arm, position) for position, arm in enumerate(arms)],
            dots=bool(observed.split.any()),
            failures=bool(np.isinf(observed.latency).any()),
            timeline=[
                (number, event, _since(event, history)) for number, event in enumerate(history.events, 1)
            ],
            marked=min(len(history.events), _MOST_MARKS),
        )


def _since(event: Event, history: History) -> str:
    since = max(event.time - history.started, 0)
    return f"+{since:.1f} s" if since < 600 else f"+{figures.duration(since)}"


def _draw(history: History, observed: Observed, arms: Sequence[str]) -> Markup:
    end = max(
        [history.ended or history.started]
        + [event.time for event in history.events]
        + [shift.time for shift in history.shifts]
        + ([float(observed.time[-1])] if observed.size else [])
    )
    span = max(end - history.started, 1e-3)
    unit, size = time_unit(span)
    edges = _edges(span, 90)
    width = np.diff(edges)
    rates = {arm: np.histogram(observed.of(arm).time - history.started, edges)[0] / width for arm in arms}
    failed = np.histogram(observed.where(np.isinf(observed.latency)).time - history.started, edges)[0]
    with plot(
        "traffic",
        "Share of the split's traffic by arm, and requests a second by arm, over time",
        width=1040,
        height=360,
        left=54,
        top=28,
        ratios=(1, 1.2),
    ) as drawn:
        shares, requests = drawn.axes
        _shares(shares, history, observed, arms, span=span, size=size)
        _requests(requests, rates, failed, edges / size, arms)
        requests.set_xlim(0, span / size)
        requests.set_xlabel(f"{unit} since the start")
        _marks(shares, requests, history, size)
    return drawn.svg


def _shares(
    axes: Axes,
    history: History,
    observed: Observed,
    arms: Sequence[str],
    *,
    span: float,
    size: float,
) -> None:
    """Lines: the weights that were set. Dots: the shares that the split's requests show."""
    names = list(arms)
    split = observed.where(observed.split)
    # A dot stands for 25 requests or so: one of five would be mostly chance.
    edges = _edges(span, min(60, max(1, split.size // 25)))
    edges = np.unique([*edges, *(shift.time - history.started for shift in history.shifts)])
    total = np.histogram(split.time - history.started, edges)[0]
    middle = (edges[:-1] + edges[1:]) / 2
    for arm in arms:
        times = [shift.time - history.started for shift in history.shifts]
        weights = [shift.weights.get(arm, 0.0) for shift in history.shifts]
        if times:
            axes.step(
                np.array([*times, span]) / size,
                [*weights, weights[-1]],
                where="post",
                color=arm_colour(names, arm),
                linewidth=2,
            )
        got = np.histogram(split.of(arm).time - history.started, edges)[0]
        enough = total >= 10
        axes.scatter(
            middle[enough] / size,
            got[enough] / total[enough],
            s=14,
            color=arm_colour(names, arm),
            alpha=0.55,
            linewidths=0,
        )
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])
    axes.set_ylabel("share of split")


def _requests(
    axes: Axes,
    rates: Mapping[str, npt.NDArray[np.float64]],
    failed: npt.NDArray[np.float64],
    edges: npt.NDArray[np.float64],
    arms: Sequence[str],
) -> None:
    names = list(arms)
    floor = np.zeros(edges.size - 1)
    for arm in arms:
        axes.stairs(
            floor + rates[arm], edges, baseline=floor, fill=True, color=arm_colour(names, arm), alpha=0.55
        )
        floor = floor + rates[arm]
    if failed.any():
        middle = ((edges[:-1] + edges[1:]) / 2)[failed > 0]
        axes.scatter(middle, np.zeros(middle.size), marker="x", s=22, color=BAD, clip_on=False, zorder=5)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("requests/s")


def _marks(shares: Axes, requests: Axes, history: History, size: float) -> None:
    """Numbered lines at the events, numbered as in the list below the plot."""
    close = (history.events[-1].time - history.started) / size / 60 if history.events else 0.0
    last, level = -np.inf, 0
    for number, event in enumerate(history.events[:_MOST_MARKS], 1):
        at = max(event.time - history.started, 0) / size
        for axes in (shares, requests):
            axes.axvline(at, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        level = level + 1 if at - last < close else 0
        last = at
        shares.annotate(
            str(number),
            (at, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3 + 10 * level),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=MUTED,
        )


def _edges(span: float, most: int) -> npt.NDArray[np.float64]:
    """Edges of at most about `most` bins over `span` seconds, of a round width where there is one."""
    widths = (0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 900, 1800, 3600)
    width = next((w for w in widths if span / w <= most), span / most)
    return np.array([*np.arange(0, span - width / 4, width), span])
