"""`fairtrial report`: the page of a run."""

from __future__ import annotations

from pathlib import Path

import click

from fairtrial.cli.output import as_json, output_option, print_json
from fairtrial.cli.outputs import outputs_options, remember_run
from fairtrial.clock import SystemClock
from fairtrial.history import history_of
from fairtrial.journal.folder import find_run
from fairtrial.journal.store import Journal


@click.command("report")
@click.argument("run", required=False)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Where to write it.  [default: report.html in the run]"
)
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
@output_option
@outputs_options
def command(run: str | None, out: Path | None, show: bool) -> None:
    """Write the report of RUN (a folder or an id; default: the newest), as far as it has come."""
    from fairtrial.atomic import write_text
    from fairtrial.report.page import render_report

    folder = find_run(run, Path.cwd())
    remember_run(folder)
    journal = Journal.open(folder.journal, SystemClock())
    try:
        page = render_report(history_of(folder, journal))
    finally:
        journal.close()
    path = out or folder.report
    write_text(path, page)
    if as_json():
        print_json({"run": folder.id, "report": str(path)})
    else:
        click.echo(path)
    if show:
        click.launch(str(path))
