"""`fairtrial run`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fairtrial.cli.against import addresses_of, against_option
from fairtrial.cli.budget import budget_option
from fairtrial.cli.cluster import cluster_of, cluster_options
from fairtrial.cli.crew import crew_of, crew_options, let_token_be
from fairtrial.cli.output import output_option
from fairtrial.cli.outputs import outputs_options, remember_run
from fairtrial.cli.signals import ending_on_signals
from fairtrial.cli.stored import recorded, stored_options
from fairtrial.cli.watching import console_for, outcome
from fairtrial.console.fetching import fetching_told
from fairtrial.controller.session import Options, start
from fairtrial.errors import ExitCode


@click.command("run")
@click.argument("file", default="experiment.yaml", type=click.Path(path_type=Path))
@click.option(
    "--runs-dir", type=click.Path(path_type=Path), help="Where run folders go.  [default: runs, beside FILE]"
)
@click.option("--keep-serving", is_flag=True, help="Go on serving the outcome until interrupted.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the split.  [default: a free one]")
@budget_option
@stored_options
@against_option
@crew_options
@cluster_options
@output_option
@outputs_options
def command(
    file: Path,
    runs_dir: Path | None,
    keep_serving: bool,
    port: int | None,
    budget: float | None,
    baseline_run: Path | None,
    baseline_arm: str | None,
    record: str | None,
    against: tuple[str, ...],
    workers: int | None,
    expect_workers: int | None,
    bind: str | None,
    backend: str,
    **cluster: Any,
) -> ExitCode:
    """Deploy the arms of FILE, send load, judge the evidence, promote or roll back, and say why.

    Everything runs on this machine, and is shut down at the end; with --backend kubernetes the arms run on a
    cluster, and what won goes on serving there. The run's folder keeps the journal, the observations,
    verdict.json and report.html. Exit code: 0 promoted, 10 rolled back, 11 inconclusive.
    """
    where = cluster_of(backend, **cluster)
    if where is not None and where.load_image is not None:
        let_token_be()
    options = Options(
        runs_dir,
        keep_serving,
        port,
        where,
        budget=budget,
        baseline_run=baseline_run,
        baseline_arm=baseline_arm,
        record=record,
        against=addresses_of(against),
        crew=crew_of(workers, expect_workers, bind),
        began=remember_run,
    )
    with ending_on_signals(), fetching_told() as fetching:
        folder = start(file, options, console_for, fetching=fetching)
    return outcome(folder) if record is None else recorded(folder, record)
