"""The evidence over time as a chart of Mermaid's, which GitHub and GitLab draw.

In a comment or a job's summary neither shows a picture that the job made: there is no address for it, and
`data:` addresses and SVG are taken away.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from fairtrial.judge.verdict import ClaimResult, MetricResult, Verdict
from fairtrial.outputs.escaping import markdown
from fairtrial.report import figures
from fairtrial.report.scale import time_unit
from fairtrial.report.standing import decisive, leading, reach

#: A chart has no legend of its own; its colours are told by the circles beside the names.
_COLOURS = {
    "🔵": "#0072ca",
    "🟠": "#f7931e",
    "🟣": "#8a5cf5",
    "🟤": "#9a5b3c",
    "🟡": "#e0b400",
    "🟢": "#2f9e44",
}
_BOUNDARY = "🔴", "#d92c2c"
_MOST_POINTS = 40


def evidence_chart(looks: Sequence[Verdict]) -> str:
    """How far each metric's claim had come towards its boundary, by look. Empty for a single look."""
    drawn = [
        (metric, claim) for metric in looks[-1].metrics if (claim := decisive(metric) or leading(metric))
    ]
    drawn = drawn[: len(_COLOURS)]
    if len(looks) < 2 or not drawn:
        return ""
    shown = _thinned(looks)
    lines = [[_reached(look, metric, claim) for look in shown] for metric, claim in drawn]
    unit, size = time_unit(shown[-1].elapsed)
    palette = ", ".join([*list(_COLOURS.values())[: len(drawn)], _BOUNDARY[1]])
    last = shown[-1].elapsed / size
    return "\n".join(
        [
            "```mermaid",
            f"%%{{init: {json.dumps({'themeVariables': {'xyChart': {'plotColorPalette': palette}}})}}}%%",
            "xychart-beta",
            '    title "Evidence, in percent of the boundary at which a claim holds"',
            f'    x-axis "{unit}" {shown[0].elapsed / size:.4g} --> {last:.4g}',
            '    y-axis "%" 0 --> 105',
            *(f"    line [{', '.join(f'{100 * value:.0f}' for value in line)}]" for line in lines),
            f"    line [{', '.join(['100'] * len(shown))}]",
            "```",
            "",
            _legend(drawn),
        ]
    )


def _legend(drawn: Sequence[tuple[MetricResult, ClaimResult]]) -> str:
    named = [
        f"{circle} {markdown(figures.label(metric))}: {claim.claim}"
        for circle, (metric, claim) in zip(_COLOURS, drawn, strict=False)
    ]
    return " · ".join([*named, f"{_BOUNDARY[0]} boundary"])


def _thinned(looks: Sequence[Verdict]) -> Sequence[Verdict]:
    """At most so many looks, evenly spaced, the last among them."""
    step = math.ceil(len(looks) / _MOST_POINTS)
    return looks[(len(looks) - 1) % step :: step]


def _reached(look: Verdict, metric: MetricResult, claim: ClaimResult) -> float:
    """0 where it was not tested yet."""
    claims = (c for m in look.metrics if m.name == metric.name for c in m.claims if c.claim == claim.claim)
    return next((reach(each) for each in claims), 0.0)
