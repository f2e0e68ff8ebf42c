"""`fairtrial watch`: the closed loop."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fairtrial.cli.output import as_json, output_option
from fairtrial.cli.signals import ending_on_signals
from fairtrial.console.fetching import fetching_told


@click.command("watch")
@click.option(
    "-f",
    "--file",
    "file",
    default="pipeline.yaml",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The pipeline file.",
)
@click.option("--once", is_flag=True, help="Ask every trigger once, do what is to be done, and end.")
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    help="Where what is known is kept.  [default: deliveries, beside FILE]",
)
@output_option
def command(file: Path, once: bool, state_dir: Path | None) -> None:
    """Watch a model: try what its registry brings, promote what wins, and react to alerts, until interrupted.

    On this machine the version in service runs for as long as this does. With --output json each entry of the
    history is one line of JSON on stdout as it is written.
    """
    from fairtrial.delivery.pipeline.reading import load
    from fairtrial.delivery.watching import watch

    pipeline = load(file)
    as_documents = as_json()

    def say(line: str) -> None:
        click.echo(line, err=True)

    def print_line(entry: object) -> None:
        click.echo(json.dumps(entry, ensure_ascii=False))

    with ending_on_signals(), fetching_told() as fetching:
        watch(
            pipeline,
            state_dir,
            once=once,
            say=say,
            fetching=fetching,
            document=print_line if as_documents else None,
        )
