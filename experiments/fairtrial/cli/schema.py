"""`fairtrial schema`: what editors complete and check with, and what a cluster does."""

from __future__ import annotations

import click

from fairtrial.cli.output import as_json, output_option
from fairtrial.delivery.pipeline.schema_file import pipeline_schema_file_text
from fairtrial.errors import UsageError
from fairtrial.experiment.schema_file import crd_file_text, schema_file_text


@click.command("schema")
@click.option(
    "--kind",
    type=click.Choice(["experiment", "pipeline"]),
    default="experiment",
    show_default=True,
    help="The files of `fairtrial run`, or of `fairtrial watch`.",
)
@click.option("--crd", is_flag=True, help="The CustomResourceDefinition for a cluster, as YAML.")
@output_option
def command(kind: str, crd: bool) -> None:
    """Print the JSON Schema of experiment files or pipeline files, or with --crd what a cluster needs to take
    experiments.

    `fairtrial init` writes the schema beside experiment.yaml, whose first line tells editors to use it.
    """
    if crd and kind != "experiment":
        raise UsageError("--crd is of experiments; leave --kind out")
    if crd and as_json():
        raise UsageError("--crd is YAML, for `kubectl apply -f -`; leave --output json out")
    of_kind = pipeline_schema_file_text if kind == "pipeline" else schema_file_text
    click.echo(crd_file_text() if crd else of_kind(), nl=False)
