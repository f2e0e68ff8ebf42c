"""`fairtrial init`: a project to start from."""

from __future__ import annotations

from pathlib import Path

import click

from fairtrial.cli.output import as_json, output_option, print_json, say
from fairtrial.projects.writing import DEFAULT_PROJECT, PROJECTS, write_project

_EXAMPLES = "\n".join(f"  {name:8}{summary}" for name, summary in PROJECTS.items())


@click.command("init", epilog=f"\b\nExamples:\n{_EXAMPLES}")
@click.argument("folder", metavar="[DIR]", default=".")
@click.option(
    "--example",
    type=click.Choice(list(PROJECTS)),
    default=DEFAULT_PROJECT,
    show_default=True,
    help="Which one to write.",
)
@output_option
def command(folder: str, example: str) -> None:
    """Write an example project into DIR (default: here), to run and to edit.

    It has two real models to train, held-out data and an experiment.yaml. Existing files are never
    overwritten.
    """
    written = write_project(example, Path(folder))
    into = "" if Path(folder) == Path() else f"cd {folder} && "
    if as_json():
        print_json({"example": example, "folder": folder, "files": [str(file) for file in written]})
    for file in written:
        say(f"wrote {file}")
    say(f"next: {into}python train.py && fairtrial run experiment.yaml")
