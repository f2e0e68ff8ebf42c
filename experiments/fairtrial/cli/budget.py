"""`--budget 60s`: how long a run may take."""

from __future__ import annotations

import click

from fairtrial.errors import UsageError
from fairtrial.experiment.quantities import parse_duration


def _seconds(context: click.Context, parameter: click.Parameter, said: str | None) -> float | None:
    del context, parameter
    try:
        return None if said is None else parse_duration(said)
    except ValueError as error:
        raise UsageError(f"--budget {said}: {error}") from error


budget_option = click.option(
    "--budget",
    metavar="DURATION",
    callback=_seconds,
    help="How long the run may take, deployment included, such as 60s: the load is as long as that allows, "
    "and the horizon is planned for it.",
)
