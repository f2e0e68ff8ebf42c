"""`fairtrial approve`: say yes to a promotion that waits for a person."""

from __future__ import annotations

from pathlib import Path

import click

from fairtrial.cli.experiments import asking, experiment_options, tell
from fairtrial.cli.output import output_option


@click.command("approve")
@click.argument("experiment")
@experiment_options
@output_option
def command(experiment: str, namespace: str | None, context: str | None, kubeconfig: Path | None) -> None:
    """Let EXPERIMENT on a cluster promote its candidate, which waits for somebody's approval."""
    tell(experiment, "approve", asking(experiment, namespace, context, kubeconfig).approve())
