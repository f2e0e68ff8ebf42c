"""`fairtrial render`: the manifests, for GitOps."""

from __future__ import annotations

from pathlib import Path

import click

from fairtrial.cli.output import as_json, output_option, print_json
from fairtrial.console.fetching import fetching_told
from fairtrial.errors import UsageError
from fairtrial.experiment.reading import load
from fairtrial.planning.models import Models
from fairtrial.planning.plan import plan_of


@click.command("render")
@click.argument("file", default="experiment.yaml", type=click.Path(path_type=Path))
@click.option("--step", default=1, show_default=True, help="Which step of the strategy, from 1.")
@output_option
def command(file: Path, step: int) -> None:
    """Print the SeldonDeployment of FILE at a step, the same bytes for the same file."""
    from fairtrial_graphs.seldon.text import render

    experiment = load(file)
    with fetching_told() as fetching:
        plan = plan_of(experiment, Models(experiment.folder, fetching))
    if not 1 <= step <= len(plan.steps):
        raise UsageError(f"--step {step}: the strategy of {file} has steps 1 to {len(plan.steps)}")
    deployment, _route = plan.at_step(step - 1)
    if as_json():
        print_json(deployment.model_dump(mode="json", by_alias=True, exclude_unset=True))
    else:
        click.echo(render(deployment), nl=False)
