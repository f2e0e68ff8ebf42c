"""`fairtrial schema`: what editors complete and check with."""

from __future__ import annotations

import click

from fairtrial.cli.output import output_option
from fairtrial.experiment.schema_file import schema_file_text


@click.command("schema")
@output_option
def command() -> None:
    """Print the JSON Schema of experiment files.

    `fairtrial init` writes it beside experiment.yaml, whose first line tells editors to use it.
    """
    click.echo(schema_file_text(), nl=False)
