"""`fairtrial replay`: judge a finished run again."""

from __future__ import annotations

from pathlib import Path

import click

from fairtrial.cli.output import as_json, output_option, print_json, say
from fairtrial.clock import SystemClock
from fairtrial.controller.session import recorded_plan
from fairtrial.errors import ExitCode
from fairtrial.journal.folder import find_run
from fairtrial.journal.store import Journal
from fairtrial.replaying import replay


@click.command("replay")
@click.argument("run", required=False)
@output_option
def command(run: str | None) -> ExitCode:
    """Judge RUN (a folder or an id; default: the newest) again from what it recorded, and compare.

    Exit code: 0 the same at every look, 1 not the same.
    """
    folder = find_run(run, Path.cwd())
    journal = Journal.open(folder.journal, SystemClock())
    try:
        result = replay(folder, journal, recorded_plan(folder, journal))
    finally:
        journal.close()
    for line in result.sentences():
        say(line)
    if as_json():
        print_json(result.document())
    return ExitCode.OK if result.same else ExitCode.INTERNAL
