"""What the verbs share that run something and let people watch."""

from __future__ import annotations

import json
import sys

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


def outcome(folder: RunFolder) -> ExitCode:
    """Print the verdict's document if it was asked for, and say what the process should end with."""
    document = json.loads(folder.verdict.read_text(encoding="utf-8"))
    if as_json():
        print_json(document)
    return exit_code(verdict_from_dict(document))
