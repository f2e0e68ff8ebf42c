"""`fairtrial undo`: back to the last good version, at once."""

from __future__ import annotations

from pathlib import Path

import click

from fairtrial.cli.output import as_json, output_option, print_json, say
from fairtrial.cli.signals import ending_on_signals
from fairtrial.console.fetching import fetching_told
from fairtrial.errors import ExitCode


@click.command("undo")
@click.option(
    "-f",
    "--file",
    "file",
    default="pipeline.yaml",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The pipeline file.",
)
@click.option("--to", metavar="VERSION", help="Return to this one.  [default: the last good one]")
@click.option("--reason", default="", help="Why; it stands in the history.")
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    help="Where what is known is kept.  [default: deliveries, beside FILE]",
)
@output_option
def command(file: Path, to: str | None, reason: str, state_dir: Path | None) -> ExitCode:
    """Return to the last good version of the pipeline's model at once, without a trial.

    A `fairtrial watch` that runs does it, and ends a trial for it; otherwise this does it itself. Exit code 0
    when that version is in service.
    """
    from fairtrial.delivery.pipeline.reading import load
    from fairtrial.delivery.undoing import undo

    pipeline = load(file)

    def tell(line: str) -> None:
        click.echo(line, err=True)

    with ending_on_signals(), fetching_told() as fetching:
        entry = undo(pipeline, state_dir, to=to, reason=reason, say=tell, fetching=fetching)
    say(f"{entry.model} {entry.version} is in service again (before: {entry.before})")
    if as_json():
        print_json({"version": entry.version, "before": entry.before, "entry": entry.seq, "hash": entry.hash})
    return ExitCode.OK
