"""How long the arms took: the distribution of their latencies, and its tail."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from fairtrial.judge.wording import seconds
from fairtrial.report.drawing import MUTED, arm_colour, plot
from fairtrial.report.history import History
from fairtrial.report.observed import Observed, read
from fairtrial.report.templating import render

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Quantiles, and how many requests an arm needs before one is claimed (MLPerf's early-stopping rule at
#: confidence 0.99).
QUANTILES = {0.5: 1, 0.9: 64, 0.99: 662, 0.999: 6_636}

Latencies = Mapping[str, npt.NDArray[np.float64]]


class LatencySection:
    anchor = "latency"
    title = "Latency"

    def render(self, history: History) -> Markup:
        observed = read(history.observations)
        arms = arms_of(history, observed)
        # A failed request never answered: it belongs in the tail, beyond every finite latency.
        latencies = {arm: np.sort(observed.of(arm).latency) for arm in arms}
        latencies = {arm: values for arm, values in latencies.items() if values.size}
        answered = {arm: values[np.isfinite(values)] for arm, values in latencies.items()}
        drawable = {arm: values[values > 0] for arm, values in answered.items() if (values > 0).any()}
        colours = {arm: arm_colour(arms, arm) for arm in latencies}
        return render(
            "latency.html",
            rows=[_row(arm, values, arms.index(arm)) for arm, values in latencies.items()],
            quantiles=[f"p{quantile * 100:g}" for quantile in QUANTILES],
            histogram=_histogram(drawable, colours) if drawable else None,
            tail=_tail(latencies, colours) if drawable else None,
            scarce=any(
                values.size < needed for values in latencies.values() for needed in QUANTILES.values()
            ),
        )


def arms_of(history: History, observed: Observed) -> list[str]:
    """Every arm that was judged or seen, the baseline first."""
    judged = [name for v in history.finals() for name in (v.baseline, v.candidate)]
    seen = [str(name) for name in np.unique(observed.arm) if name]
    return list(dict.fromkeys(judged + seen))


def _row(arm: str, values: npt.NDArray[np.float64], position: int) -> dict[str, Any]:
    cells: list[str | None] = []
    for quantile, needed in QUANTILES.items():
        if values.size < needed:
            cells.append(None)
            continue
        found = float(np.quantile(values, quantile, method="higher"))
        cells.append(seconds(found) if math.isfinite(found) else "failed")
    failed = int(np.isinf(values).sum())
    return {"arm": arm, "position": position, "requests": values.size, "failed": failed, "cells": cells}


def _histogram(latencies: Latencies, colours: Mapping[str, str]) -> Markup:
    """Densities over log latency, so that arms with different numbers of requests compare."""
    low = min(float(np.quantile(values, 0.0005)) for values in latencies.values())
    high = max(float(np.quantile(values, 0.9995)) for values in latencies.values())
    edges = np.geomspace(low * 0.97, max(high, low * 1.05) * 1.03, 56)
    with plot("latency-histogram", "Histogram of latencies by arm", width=520, height=270) as drawn:
        axes = drawn.axes[0]
        axes.set_xscale("log")
        for arm, values in latencies.items():
            share = np.histogram(values, edges)[0] / values.size
            axes.stairs(share, edges, color=colours[arm], fill=True, alpha=0.16)
            axes.stairs(share, edges, color=colours[arm], linewidth=1.5)
            median = float(np.quantile(values, 0.5))
            axes.axvline(median, color=colours[arm], linewidth=1.2, linestyle=(0, (2, 2)))
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(bottom=0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        _label_seconds(axes)
        axes.set_xlabel("latency (log scale); dotted: medians")
    return drawn.svg


def _tail(latencies: Latencies, colours: Mapping[str, str]) -> Markup:
    """The share of requests slower than x, on log scales: where p90, p99 and p99.9 differ is plain to see."""
    most = max(values.size for values in latencies.values())
    with plot(
        "latency-tail", "Share of requests slower than a latency, by arm", width=520, height=270
    ) as drawn:
        axes = drawn.axes[0]
        axes.set_xscale("log")
        axes.set_yscale("log")
        for arm, values in latencies.items():
            share = np.geomspace(1, 1 / values.size, 240)
            rank = np.minimum((values.size * (1 - share)).astype(int), values.size - 1)
            finite = np.isfinite(values[rank])
            axes.plot(values[rank][finite], share[finite], color=colours[arm])
            for quantile, needed in QUANTILES.items():
                found = float(np.quantile(values, quantile, method="higher"))
                if values.size >= needed and math.isfinite(found):
                    axes.plot([found], [1 - quantile], "o", color=colours[arm], markersize=6)
        marks = [q for q in QUANTILES if 1 - q >= 1 / most]
        for quantile in marks:
            axes.axhline(1 - quantile, color=MUTED, linewidth=0.6, linestyle=(0, (2, 2)))
        axes.set_yticks([1 - q for q in marks], [f"p{q * 100:g}" for q in marks])
        axes.minorticks_off()
        axes.set_ylim(1 / most, 1.0)
        _label_seconds(axes)
        axes.set_xlabel("latency (log scale)")
    return drawn.svg


def _label_seconds(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    def written(value: float, _: int | None) -> str:
        return seconds(value)

    low, high = axes.get_xlim()
    steps = (
        (1.0,)
        if high / low > 1e3
        else (1.0, 2.0, 5.0)
        if high / low > 4
        else tuple(np.arange(1.0, 10.0, 0.5))
    )
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(written))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
