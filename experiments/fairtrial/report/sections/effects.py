"""Effect sizes with their intervals and margins: a forest plot, one strip a metric."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup

from fairtrial.judge.verdict import MetricResult
from fairtrial.report import figures
from fairtrial.report.drawing import BAD, GOOD, INK, MARGIN, MUTED, plot
from fairtrial.report.history import History
from fairtrial.report.scale import limit, tick_labels
from fairtrial.report.standing import Tone, standing
from fairtrial.report.templating import render


class EffectsSection:
    anchor = "effects"
    title = "Effect sizes"

    def render(self, history: History) -> Markup:
        forests: list[dict[str, Any]] = []
        for number, verdict in enumerate(history.finals()):
            rows = [_row(metric, f"effect-{number}-{row}") for row, metric in enumerate(verdict.metrics)]
            forests.append({"candidate": verdict.candidate, "baseline": verdict.baseline, "rows": rows})
        return render("effects.html", forests=forests, several=len(forests) > 1)


def _row(metric: MetricResult, name: str) -> dict[str, Any]:
    tone, word = standing(metric)
    return {
        "name": figures.label(metric),
        "role": metric.role,
        "effect": figures.effect(metric, metric.effect),
        "interval": figures.interval(metric),
        "level": figures.level(metric),
        "margin": f"{figures.margin_name(metric)} {figures.margin(metric)}",
        "tone": tone.value,
        "word": word,
        "svg": _strip(metric, name, tone),
        "waiting": metric.waiting,
    }


def _strip(metric: MetricResult, name: str, tone: Tone) -> Markup | None:
    """Zero, margin, estimate and interval on one line, better to the right whichever way that is."""
    if metric.effect is None or not math.isfinite(metric.effect):
        return None
    bounds = metric.interval or (metric.effect, metric.effect)
    low, high = (bound if math.isfinite(bound) else metric.effect for bound in bounds)
    edge = limit(metric)
    points = (0.0, edge, low, high, metric.effect)
    room = (max(points) - min(points)) * 0.14 or 1.0
    description = (
        f"Effect {figures.effect(metric, metric.effect)}, {figures.level(metric)} interval "
        f"{figures.interval(metric)}, margin at {figures.effect(metric, edge)}"
    )
    colour = {Tone.GOOD: GOOD, Tone.BAD: BAD}.get(tone, INK)
    with plot(name, description, width=430, height=60, bottom=22, top=2) as drawn:
        axes = drawn.axes[0]
        axes.set_xlim(min(points) - room, max(points) + room)
        axes.set_ylim(-1, 1)
        worse = (edge, axes.get_xlim()[0 if metric.higher_is_better else 1])
        axes.axvspan(
            min(worse), max(worse), color=BAD if metric.role == "guardrail" else MUTED, alpha=0.07, lw=0
        )
        axes.axvline(0, color=MUTED, linewidth=1)
        axes.axvline(edge, color=MARGIN, linewidth=1.6, linestyle=(0, (4, 2)))
        axes.plot([low, high], [0, 0], color=colour, linewidth=3)
        for bound, end in ((low, bounds[0]), (high, bounds[1])):
            if math.isfinite(end):
                axes.plot([bound, bound], [-0.28, 0.28], color=colour, linewidth=1.6)
        axes.plot([metric.effect], [0], "o", color=colour, markersize=8)
        axes.yaxis.set_visible(False)
        axes.spines["left"].set_visible(False)
        axes.grid(False)
        tick_labels(axes.xaxis, metric, most=5)
        if not metric.higher_is_better:
            axes.invert_xaxis()
    return drawn.svg
