"""`fairtrial`, killed by itself with SIGKILL: `killed.py STEP WHEN VERB ...`.

WHEN is `unwritten` (the step's effect is made, and it is not written down that it is) or `written`. STEP is a
step of a delivery, or `close` (the ledger's entry).
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

from fairtrial.cli import main
from fairtrial.delivery.ledger import Entry, Ledger
from fairtrial.delivery.steps import Steps

STEP, WHEN = sys.argv[1], sys.argv[2]
_once = Steps.once
_close_with = Ledger.close_with


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _once_or_die(steps: Steps, step: str, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    def made() -> Mapping[str, Any]:
        result = make()
        if step == STEP and WHEN == "unwritten":
            _die()
        return result

    result = _once(steps, step, made)
    if step == STEP and WHEN == "written":
        _die()
    return result


def _close_or_die(ledger: Ledger, *args: Any, **said: Any) -> Entry:
    if STEP == "close" and WHEN == "unwritten":
        _die()
    entry = _close_with(ledger, *args, **said)
    if STEP == "close" and WHEN == "written":
        _die()
    return entry


Steps.once = _once_or_die
Ledger.close_with = _close_or_die
sys.argv = ["fairtrial", *sys.argv[3:]]
main()
