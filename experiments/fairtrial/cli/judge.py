"""`fairtrial judge`: a verdict from observations that somebody recorded."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import click

from fairtrial.cli.output import as_json, output_option, print_json
from fairtrial.cli.outputs import outputs_options, remember_verdict
from fairtrial.cli.progress import Progress
from fairtrial.errors import ExitCode


@click.command("judge")
@click.argument("file", default="experiment.yaml", type=click.Path(path_type=Path))
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Observations: .parquet, .csv or .jsonl, or a folder of a run's parts; or .json: what Prometheus "
    "answered to a range query for a histogram's buckets, which is weaker evidence.",
)
@output_option
@outputs_options
def command(file: Path, data: Path) -> ExitCode:
    """Judge recorded observations by the claims of FILE, look by look as the run would have. Deploys nothing.

    Columns: arm, time (seconds since the epoch), latency (seconds), status (HTTP code, 0 for none); and where
    known id, unit, pair, row, segment, score. Any further column can be a metric.
    """
    from fairtrial.console.summary import exit_code, summary
    from fairtrial.judge.document import verdict_to_dict
    from fairtrial.retrospective import judge_recorded
    from fairtrial.retrospective_histograms import judge_histograms

    if data.suffix == ".json":
        verdict = judge_histograms(file, data)
    else:
        with Progress(sys.stderr, time.monotonic) as progress:
            verdict = judge_recorded(
                file, data, progress=lambda rows: progress.count("rows put in order of time", rows)
            )
    remember_verdict(verdict)
    if as_json():
        print_json(verdict_to_dict(verdict))
    else:
        width = shutil.get_terminal_size().columns
        for line in summary(verdict, None, width):
            click.echo("".join(text for text, _tone in line))
    return exit_code(verdict)
