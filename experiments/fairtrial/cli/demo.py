"""`fairtrial demo`: from nothing to a verdict."""

from __future__ import annotations

from pathlib import Path

import click

from fairtrial.cli.output import output_option, say
from fairtrial.cli.signals import ending_on_signals
from fairtrial.cli.watching import console_for, outcome
from fairtrial.controller.session import Options, start
from fairtrial.errors import ExitCode
from fairtrial.projects.training import train
from fairtrial.projects.writing import DEFAULT_PROJECT, PROJECTS, write_project


@click.command("demo")
@click.argument("folder", metavar="[DIR]", default="fairtrial-demo", type=click.Path(path_type=Path))
@click.option(
    "--example",
    type=click.Choice(list(PROJECTS)),
    default=DEFAULT_PROJECT,
    show_default=True,
    help="Which project.",
)
@output_option
def command(folder: Path, example: str) -> ExitCode:
    """Write an example project into DIR (default: fairtrial-demo), train its two models, and run it.

    The folder is yours to keep and edit; if it is there already it is run as it is.
    """
    file = folder / "experiment.yaml"
    with ending_on_signals():
        if file.exists():
            say(f"{folder} is there already; running it as it is")
        else:
            write_project(example, folder)
            say(f"wrote the project {example} to {folder}: {PROJECTS[example]}")
        if not (folder / "models").is_dir():
            train(folder, say)
        run = start(file, Options(), console_for)
    return outcome(run)
