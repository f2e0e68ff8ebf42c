"""Which margins, or how many more requests, would have led elsewhere."""

from __future__ import annotations

from markupsafe import Markup

from fairtrial.explanation.change import what_would_change
from fairtrial.report.history import History
from fairtrial.report.templating import render


class ChangeSection:
    anchor = "change"
    title = "What would have changed it"

    def render(self, history: History) -> Markup:
        return render(
            "change.html",
            changes=[(verdict.candidate, what_would_change(verdict)) for verdict in history.finals()],
        )
