"""`fairtrial render`: the manifests, for GitOps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fairtrial.cli.output import as_json, output_option, print_json
from fairtrial.console.fetching import fetching_told
from fairtrial.errors import UsageError
from fairtrial.experiment.reading import load
from fairtrial.planning.manifests import PLANES, ROUTES, manifests_of
from fairtrial.planning.models import Models
from fairtrial.planning.plan import plan_of


@click.command("render")
@click.argument("file", default="experiment.yaml", type=click.Path(path_type=Path))
@click.option("--step", default=1, show_default=True, help="Which step of the strategy, from 1.")
@click.option(
    "--plane",
    type=click.Choice(PLANES),
    default="seldon",
    show_default=True,
    help="Seldon Core 1 (and this machine), or Seldon Core 2.",
)
@click.option(
    "--route",
    type=click.Choice(list(ROUTES)),
    help="What brings requests to the arms.  [default: as the cluster has it]",
)
@click.option(
    "--gateway",
    help="Of the route: the Gateway of Istio or of the Gateway API, [NAMESPACE/]NAME; the id of Ambassador.",
)
@output_option
def command(file: Path, step: int, plane: Any, route: str | None, gateway: str | None) -> None:
    """Print the manifests of FILE at a step, the same bytes for the same file.

    Several are divided by ---, or are a List in JSON, as kubectl takes both. What the plane or the route does
    not do is told on stderr.
    """
    from fairtrial_graphs.documents import to_yaml

    experiment = load(file)
    with fetching_told() as fetching:
        plan = plan_of(experiment, Models(experiment.folder, fetching))
    if not 1 <= step <= len(plan.steps):
        raise UsageError(f"--step {step}: the strategy of {file} has steps 1 to {len(plan.steps)}")
    manifests = manifests_of(*plan.at_step(step - 1), plane=plane, route=route, gateway=gateway)
    for note in manifests.notes:
        click.echo(f"note: {note}", err=True)
    if not as_json():
        click.echo(to_yaml(manifests.documents), nl=False)
    elif len(manifests.documents) == 1:
        print_json(manifests.documents[0])
    else:
        print_json({"apiVersion": "v1", "kind": "List", "items": list(manifests.documents)})
