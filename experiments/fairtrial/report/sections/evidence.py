"""The evidence over time: each claim's statistic against its boundary, and the effect with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from fairtrial.judge.verdict import ClaimResult, MetricResult, Verdict
from fairtrial.report import figures
from fairtrial.report.drawing import BAD, CANDIDATES, GOOD, INK, MARGIN, MUTED, plot
from fairtrial.report.history import History
from fairtrial.report.scale import limit, tick_labels, time_unit
from fairtrial.report.standing import AGAINST, standing
from fairtrial.report.templating import render

_WIDTH, _HEIGHT = 360, 210


class EvidenceSection:
    anchor = "evidence"
    title = "Evidence over time"

    def render(self, history: History) -> Markup:
        trials: list[dict[str, Any]] = []
        for number, candidate in enumerate(history.candidates()):
            looks = history.looks(candidate)
            metrics = [
                _panels(
                    looks, position, f"evidence-{number}-{position}", CANDIDATES[number % len(CANDIDATES)]
                )
                for position in range(len(looks[-1].metrics))
            ]
            trials.append({"candidate": candidate, "metrics": metrics, "looks": len(looks)})
        return render("evidence.html", trials=trials)


def _panels(looks: Sequence[Verdict], position: int, name: str, colour: str) -> dict[str, Any]:
    final = looks[-1].metrics[position]
    # A metric is told by its name: an early look may have judged fewer of them.
    found = [(v.look, v.elapsed, m) for v in looks for m in v.metrics if m.name == final.name]
    unit, size = time_unit(found[-1][1])
    tone, word = standing(final)
    claims: list[dict[str, Any]] = []
    for number, claim in enumerate(final.claims):
        points = [
            (look, elapsed / size, match)
            for look, elapsed, metric in found
            for match in metric.claims
            if match.claim == claim.claim
        ]
        claims.append(
            {
                "claim": claim,
                "tone": _claim_tone(claim),
                "svg": _statistic(points, claim, final, name=f"{name}-{number}", unit=unit, colour=colour),
            }
        )
    return {
        "name": figures.label(final),
        "tone": tone.value,
        "word": word,
        "waiting": final.waiting,
        "claims": claims,
        "effect": _effect([(e / size, m) for _, e, m in found], final, f"{name}-effect", unit, colour),
        "final": final,
    }


def _claim_tone(claim: ClaimResult) -> str:
    if not claim.crossed:
        return "quiet"
    return "bad" if claim.claim in AGAINST else "good"


def _statistic(
    points: Sequence[tuple[int, float, ClaimResult]],
    claim: ClaimResult,
    metric: MetricResult,
    *,
    name: str,
    unit: str,
    colour: str,
) -> Markup | None:
    """The statistic of one claim by look, the region where the claim holds, and where it was entered."""
    known = [
        (look, when, c.statistic, c.boundary)
        for look, when, c in points
        if c.statistic is not None and c.boundary is not None and math.isfinite(c.statistic)
        # From where it crossed on, the claim holds and its figures stand still.
        if claim.crossed_at_look is None or look <= claim.crossed_at_look
    ]
    if not known:
        return None
    end = points[-1][1]
    when = [point[1] for point in known]
    z = [point[2] for point in known]
    boundary = [point[3] for point in known]
    description = (
        f"{figures.label(metric)}, claim {claim.claim}: z is {figures.z(z[-1])} against a boundary of "
        f"{figures.z(boundary[-1])} at look {known[-1][0]}"
    )
    top = 1.12 * max(*z, boundary[-1], min(max(boundary), 2 * boundary[-1]))
    # A claim that is far from true may run off the plot, so that its boundary stays to be seen.
    bottom = max(min(*z, 0.0) * 1.1, -4 * top)
    region = BAD if claim.claim in AGAINST else GOOD
    single = len(known) == 1
    with plot(name, description, width=_WIDTH, height=_HEIGHT, left=36) as drawn:
        axes = drawn.axes[0]
        axes.set_ylim(bottom, top)
        axes.fill_between(when, boundary, top, color=region, alpha=0.1, linewidth=0)
        if claim.crossed and end > when[-1]:
            axes.axvspan(when[-1], end, color=region, alpha=0.1, linewidth=0)
        if when[0] > end / 8:
            axes.axvspan(0, when[0], color=MUTED, alpha=0.07, linewidth=0)
        if when[0] > end / 2.5:
            middle = (when[0] / 2, (bottom + top) / 2)
            axes.annotate("not tested yet", middle, ha="center", va="center", color=MUTED)
        axes.plot(
            when,
            boundary,
            color=region,
            linewidth=1.4,
            linestyle=(0, (4, 2)),
            marker="_" if single else None,
            markersize=14,
            markeredgewidth=1.8,
        )
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.plot(when, z, color=colour, marker="o" if single else None)
        if claim.crossed:
            axes.plot(when[-1:], z[-1:], "o", color=region, markersize=8)
        axes.set_xlabel(unit)
        axes.set_ylabel("z")
        axes.set_xlim(0, end * 1.03 or 1.0)
    return drawn.svg


def _effect(
    points: Sequence[tuple[float, MetricResult]], final: MetricResult, name: str, unit: str, colour: str
) -> Markup | None:
    """The effect and its interval by look, with zero and the margin."""
    known = [
        (when, metric.effect, metric.interval)
        for when, metric in points
        if metric.effect is not None and math.isfinite(metric.effect)
    ]
    if not known:
        return None
    end = points[-1][0]
    description = (
        f"{figures.label(final)}: effect {figures.effect(final, final.effect)}, "
        f"{figures.level(final)} interval {figures.interval(final)}"
    )
    edge = limit(final)
    bottom, top = _view([bounds for _, _, bounds in known], [effect for _, effect, _ in known], edge)
    # An open side runs off the plot.
    banded = [
        (when, max(bounds[0], 2 * bottom - top), min(bounds[1], 2 * top - bottom))
        for when, _, bounds in known
        if bounds
    ]
    with plot(name, description, width=_WIDTH, height=_HEIGHT, left=60) as drawn:
        axes = drawn.axes[0]
        if len(banded) > 1:
            when, low, high = zip(*banded, strict=True)
            axes.fill_between(when, low, high, color=colour, alpha=0.18, linewidth=0)
        elif banded:
            axes.plot([banded[0][0]] * 2, banded[0][1:], color=colour, linewidth=2.4)
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.axhline(edge, color=MARGIN, linewidth=1.4, linestyle=(0, (4, 2)))
        axes.plot(
            [when for when, _, _ in known],
            [effect for _, effect, _ in known],
            color=colour if banded else INK,
            marker="o" if len(known) == 1 else None,
        )
        axes.set_ylim(bottom, top)
        tick_labels(axes.yaxis, final, most=5)
        axes.set_xlabel(unit)
        axes.set_xlim(0, end * 1.03 or 1.0)
    return drawn.svg


def _view(
    bounds: Sequence[tuple[float, float] | None], effects: Sequence[float], edge: float
) -> tuple[float, float]:
    """Room for the second half of the run; the first looks' intervals may run off the plot."""
    half = len(effects) // 2
    shown = [*effects[half:], 0.0, edge]
    shown += [bound for pair in bounds[half:] if pair for bound in pair if math.isfinite(bound)]
    room = (max(shown) - min(shown)) * 0.12 or 1.0
    return min(shown) - room, max(shown) + room
