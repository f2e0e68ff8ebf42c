"""report.html: the page that carries the sections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from fairtrial.report.history import History
from fairtrial.report.section import Section
from fairtrial.report.sections.change import ChangeSection
from fairtrial.report.sections.effects import EffectsSection
from fairtrial.report.sections.evidence import EvidenceSection
from fairtrial.report.sections.latency import LatencySection
from fairtrial.report.sections.metrics import MetricsSection
from fairtrial.report.sections.ratio import SampleRatioSection
from fairtrial.report.sections.reasons import ReasonsSection
from fairtrial.report.sections.reproduce import ReproduceSection
from fairtrial.report.sections.traffic import TrafficSection
from fairtrial.report.sections.verdict import VerdictSection
from fairtrial.report.templating import render

SECTIONS: tuple[Section, ...] = (
    VerdictSection(),
    ReasonsSection(),
    MetricsSection(),
    EffectsSection(),
    EvidenceSection(),
    ChangeSection(),
    LatencySection(),
    SampleRatioSection(),
    TrafficSection(),
    ReproduceSection(),
)


def render_report(history: History, sections: Sequence[Section] = SECTIONS) -> str:
    """The page as HTML. The same history gives the same bytes."""
    style = (Path(__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
    return render(
        "page.html",
        history=history,
        style=Markup(style),
        sections=[(section.anchor, section.title, section.render(history)) for section in sections],
    )
