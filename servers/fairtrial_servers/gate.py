"""The check that every load goes through, whatever the runtime: ours, a stock one, or a team's own."""

from __future__ import annotations

import logging
from pathlib import Path

from mlserver.settings import ModelSettings

from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.formats import FORMATS
from fairtrial_servers.models import parse_trusted
from fairtrial_servers.safety.scan.survey import Report, scan
from fairtrial_servers.store import fetch

logger = logging.getLogger("fairtrial.servers")


def check_before_load(settings: ModelSettings) -> None:
    """Raise UnsafeModelError or ModelError unless the files of this model are safe to load.

    Runtimes that check what they read while they read it are left to do so: there the check is the stronger
    one, and a second reading would cost a large model as much as its load. A model that is not on this
    machine (one that its runtime fetches by a name of its own) is not seen here.
    """
    if settings.implementation_ in {known.implementation for known in FORMATS if known.guarded}:
        return
    parameters = settings.parameters
    if parameters is None or not parameters.uri:
        return
    extra = {key: str(value) for key, value in (parameters.extra or {}).items()}
    trusted = parse_trusted(extra) if "trusted" in extra else frozenset[str]()
    report = scan(fetch(parameters.uri, Path.cwd()), allow=trusted)
    for found in report.allowed:
        logger.warning("%s: allowed, as the parameter trusted says", found)
    refuse_unsafe(report)


def refuse_unsafe(report: Report) -> None:
    """Raise what the first finding of a report says, and how many there are."""
    if report.safe:
        return
    first = next((each for each in report.findings if each.kind.value == "unsafe"), report.findings[0])
    more = len(report.findings) - 1
    sentence = f"{first}{f' (and {more} more)' if more else ''}: not loaded"
    if report.damaged:
        raise ModelError(sentence)
    hint = '; if you trust it, name it in the model\'s parameter "trusted"' if first.name else ""
    raise UnsafeModelError(sentence + hint)
