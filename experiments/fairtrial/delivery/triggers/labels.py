"""Which labels an alert must have."""

from __future__ import annotations

import re
from collections.abc import Mapping


def pattern_of(wanted: str) -> re.Pattern[str] | None:
    """The regular expression between two slashes; None for a plain value. Raises re.error."""
    between = len(wanted) > 1 and wanted.startswith("/") and wanted.endswith("/")
    return re.compile(wanted[1:-1]) if between else None


def matches(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether all are there. An expression must cover the whole value, as in Prometheus."""
    for label, value in wanted.items():
        if label not in labels:
            return False
        pattern = pattern_of(value)
        found = labels[label]
        if not (pattern.fullmatch(found) if pattern else found == value):
            return False
    return True
