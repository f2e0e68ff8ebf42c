"""`fairtrial pause`: hold an experiment on a cluster where it is."""

from __future__ import annotations

from pathlib import Path

import click

from fairtrial.cli.experiments import asking, experiment_options, tell
from fairtrial.cli.output import output_option


@click.command("pause")
@click.argument("experiment")
@experiment_options
@output_option
def command(experiment: str, namespace: str | None, context: str | None, kubeconfig: Path | None) -> None:
    """Hold EXPERIMENT on a cluster: it is judged, and rolled back if need be, but goes no step forward.

    `fairtrial resume EXPERIMENT --namespace NAMESPACE` lets it go on.
    """
    tell(experiment, "pause", asking(experiment, namespace, context, kubeconfig).pause())
