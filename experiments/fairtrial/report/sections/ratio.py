"""Whether the split sent each arm the share that its weights say."""

from __future__ import annotations

from markupsafe import Markup

from fairtrial.report.history import History
from fairtrial.report.templating import render


class SampleRatioSection:
    anchor = "sample-ratio"
    title = "Sample ratio"

    def render(self, history: History) -> Markup:
        ratios = [
            (verdict, verdict.sample_ratio)
            for verdict in history.finals()
            if verdict.sample_ratio is not None
        ]
        return render("ratio.html", ratios=ratios)
