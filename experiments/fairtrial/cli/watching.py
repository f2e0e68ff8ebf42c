"""What the verbs share that run something and let people watch."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from fairtrial.cli.output import as_json, print_json
from fairtrial.console.interface import Console
from fairtrial.console.of_plan import console_of
from fairtrial.console.summary import exit_code
from fairtrial.errors import ExitCode
from fairtrial.journal.folder import RunFolder
from fairtrial.judge.document import verdict_from_dict
from fairtrial.planning.plan import Plan


def console_for(plan: Plan) -> Console:
    """A live view, plain lines, or nothing when the answer is a JSON document."""
    return console_of(plan, results=sys.stdout, quiet=as_json())


@contextmanager
def ending_on_signals() -> Generator[None]:
    """SIGTERM and SIGHUP end a verb as Ctrl-C does: everything is shut down first."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def outcome(folder: RunFolder) -> ExitCode:
    """Print the verdict's document if it was asked for, and say what the process should end with."""
    document = json.loads(folder.verdict.read_text(encoding="utf-8"))
    if as_json():
        print_json(document)
    return exit_code(verdict_from_dict(document))
