"""HTML from templates, in which every value is escaped unless it is markup of our own."""

from __future__ import annotations

import re
import time
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fairtrial.judge.wording import count, percent
from fairtrial.report import figures


def render(template: str, **values: Any) -> Markup:
    """The template of that name in `templates/`, filled in; it may use `figures` and `percent`."""
    return Markup(_environment().get_template(template).render(figures=figures, percent=percent, **values))


def typeset(text: str) -> str:
    """Text whose figures have a true minus sign."""
    return re.sub(r"(?<![\w.,-])-(?=\d|infinite)", "−", text)


def moment(epoch: float) -> str:
    """Date and time, in UTC so that every reader sees the same."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(epoch))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "typeset": typeset,
        "moment": moment,
        "count": count,
        "duration": figures.duration,
    }
    return environment
