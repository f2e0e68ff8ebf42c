"""Why: the judge's reasons, the gates, and what was assumed."""

from __future__ import annotations

from markupsafe import Markup

from fairtrial.report.history import History
from fairtrial.report.standing import reasons
from fairtrial.report.templating import render


class ReasonsSection:
    anchor = "reasons"
    title = "Reasons"

    def render(self, history: History) -> Markup:
        return render("reasons.html", verdicts=history.finals(), reasons=reasons)
