"""`fairtrial schema`: what editors complete and check with, and what a cluster does."""

from __future__ import annotations

import click

from fairtrial.cli.output import as_json, output_option
from fairtrial.errors import UsageError
from fairtrial.experiment.schema_file import crd_file_text, schema_file_text


@click.command("schema")
@click.option("--crd", is_flag=True, help="The CustomResourceDefinition for a cluster, as YAML.")
@output_option
def command(crd: bool) -> None:
    """Print the JSON Schema of experiment files, or with --crd what a cluster needs to take them.

    `fairtrial init` writes the schema beside experiment.yaml, whose first line tells editors to use it.
    """
    if crd and as_json():
        raise UsageError("--crd is YAML, for `kubectl apply -f -`; leave --output json out")
    click.echo(crd_file_text() if crd else schema_file_text(), nl=False)
