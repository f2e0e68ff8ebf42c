"""Every figure of every metric, and every claim against its boundary."""

from __future__ import annotations

from markupsafe import Markup

from fairtrial.report.history import History
from fairtrial.report.standing import AGAINST, standing
from fairtrial.report.templating import render


class MetricsSection:
    anchor = "metrics"
    title = "Metrics and claims"

    def render(self, history: History) -> Markup:
        return render("metrics.html", verdicts=history.finals(), standing=standing, against=AGAINST)
