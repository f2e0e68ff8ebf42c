"""What it takes to do it again: commands, versions, the experiment and the manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from fairtrial.report.history import History
from fairtrial.report.templating import render


class ReproduceSection:
    anchor = "reproduce"
    title = "How to reproduce"

    def render(self, history: History) -> Markup:
        rules = dict.fromkeys(f"{verdict.method}, rules {verdict.rules}" for verdict in history.finals())
        return render(
            "reproduce.html",
            history=history,
            load=list(_flat(history.load)),
            decided_by=list(rules),
        )


def _flat(summary: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in summary.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, float):
            yield f"{prefix}{key}", f"{value:.6g}"
        else:
            yield f"{prefix}{key}", str(value)
