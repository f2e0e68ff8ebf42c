"""`fairtrial render`: the manifests, for GitOps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from fairtrial.cli.output import as_json, output_option, print_json
from fairtrial.console.fetching import fetching_told
from fairtrial.errors import UsageError
from fairtrial.experiment.reading import load
from fairtrial.journal.entries import Effect
from fairtrial.planning.manifests import PLANES, ROUTES, Plane, manifests_of
from fairtrial.planning.models import Models
from fairtrial.planning.plan import Plan, plan_of

if TYPE_CHECKING:
    from fairtrial_graphs.backends.interface import Route
    from fairtrial_graphs.seldon.types import SeldonDeployment

Outcome = Literal["promote", "rollback", "switch"]
OUTCOMES: tuple[Outcome, ...] = ("promote", "rollback", "switch")


@click.command("render")
@click.argument("file", default="experiment.yaml", type=click.Path(path_type=Path))
@click.option("--step", default=1, show_default=True, help="Which step of the strategy, from 1.")
@click.option(
    "--after",
    type=click.Choice(OUTCOMES),
    help="Instead of a step: what is served after the verdict; switch is what blueGreen serves for keepFor.",
)
@click.option("--candidate", help="The one promoted, with --after.  [default: the first]")
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
def command(
    file: Path,
    step: int,
    after: Outcome | None,
    candidate: str | None,
    plane: Plane,
    route: str | None,
    gateway: str | None,
) -> None:
    """Print the manifests of FILE at a step, or after the verdict, the same bytes for the same file.

    Several are divided by ---, or are a List in JSON, as kubectl takes both. What the plane or the route does
    not do is told on stderr.
    """
    from fairtrial_graphs.documents import to_yaml

    experiment = load(file)
    with fetching_told() as fetching:
        plan = plan_of(experiment, Models(experiment.folder, fetching))
    if plan.elsewhere:
        raise UsageError(f"{file}: the arms run already, at a url each, so that nothing is applied")
    served = _at_step(plan, step) if after is None else _after(plan, after, candidate)
    manifests = manifests_of(*served, plane=plane, route=route, gateway=gateway)
    for note in manifests.notes:
        click.echo(f"note: {note}", err=True)
    if not as_json():
        click.echo(to_yaml(manifests.documents), nl=False)
    elif len(manifests.documents) == 1:
        print_json(manifests.documents[0])
    else:
        print_json({"apiVersion": "v1", "kind": "List", "items": list(manifests.documents)})


def _at_step(plan: Plan, step: int) -> tuple[SeldonDeployment, Route]:
    if not 1 <= step <= len(plan.steps):
        raise UsageError(f"--step {step}: the strategy has steps 1 to {len(plan.steps)}")
    return plan.at_step(step - 1)


def _after(plan: Plan, outcome: Outcome, candidate: str | None) -> tuple[SeldonDeployment, Route]:
    candidate = candidate or plan.candidates[0]
    if candidate not in plan.candidates:
        raise UsageError(f"--candidate {candidate}: the candidates are {', '.join(plan.candidates)}")
    if outcome != "switch":
        return plan.after(Effect(outcome), len(plan.steps) - 1, candidate)
    if plan.keep_for is None:
        raise UsageError(
            "--after switch: only the strategy blueGreen keeps the baseline beside its successor"
        )
    return plan.switched(candidate)
