"""`fairtrial schema`: what editors complete and check with, and what a cluster does."""

from __future__ import annotations

import click

from fairtrial.cli.output import as_json, output_option
from fairtrial.delivery.pipeline.schema_file import pipeline_schema_file_text
from fairtrial.errors import UsageError
from fairtrial.experiment.schema_file import crd_file_text, schema_file_text
from fairtrial.operator.pipelines.crd_file import pipeline_crd_file_text


@click.command("schema")
@click.option(
    "--kind",
    type=click.Choice(["experiment", "pipeline"]),
    help="The files of `fairtrial run`, or of `fairtrial watch`.  [default: experiment; with --crd both]",
)
@click.option("--crd", is_flag=True, help="The CustomResourceDefinitions for a cluster, as YAML.")
@output_option
def command(kind: str | None, crd: bool) -> None:
    """Print the JSON Schema of experiment files or pipeline files, or with --crd what a cluster needs to take
    experiments and pipelines.

    `fairtrial init` writes the schema beside experiment.yaml, whose first line tells editors to use it.
    """
    if crd and as_json():
        raise UsageError("--crd is YAML, for `kubectl apply -f -`; leave --output json out")
    if crd:
        texts = {"experiment": crd_file_text, "pipeline": pipeline_crd_file_text}
        click.echo("---\n".join(text() for of, text in texts.items() if kind in (None, of)), nl=False)
    else:
        click.echo(pipeline_schema_file_text() if kind == "pipeline" else schema_file_text(), nl=False)
