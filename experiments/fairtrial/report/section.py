"""The seam of the report: one section of the page."""

from __future__ import annotations

from typing import Protocol

from markupsafe import Markup

from fairtrial.report.history import History


class Section(Protocol):
    """One part of the page. It is given the whole history and says its part of it."""

    @property
    def anchor(self) -> str:
        """The id of the section in the page, e.g. "evidence"."""
        ...

    @property
    def title(self) -> str: ...

    def render(self, history: History) -> Markup:
        """The section's HTML without its heading. It says so in words when there is nothing to show."""
        ...
