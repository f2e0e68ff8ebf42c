"""`fairtrial explain`: why this verdict."""

from __future__ import annotations

from pathlib import Path

import click

from fairtrial.cli.output import as_json, output_option, print_json
from fairtrial.clock import SystemClock
from fairtrial.journal.folder import find_run
from fairtrial.journal.store import Journal


@click.command("explain")
@click.argument("run", required=False)
@output_option
def command(run: str | None) -> None:
    """Say why RUN (a folder or an id; default: the newest) ended as it did, what would have changed it,
    and on which rows and slices the candidate loses.
    """
    from fairtrial.explanation.explain import as_text, explain
    from fairtrial.recorded import open_recorded

    folder = find_run(run, Path.cwd())
    journal = Journal.open(folder.journal, SystemClock())
    try:
        history, rows = open_recorded(folder, journal)
    finally:
        journal.close()
    paragraphs = explain(history, rows)
    if as_json():
        print_json(
            {
                "run": folder.id,
                "paragraphs": [
                    {"heading": p.heading, "text": p.text, "points": list(p.points)} for p in paragraphs
                ],
            }
        )
        return
    click.echo(as_text(paragraphs))
