"""`fairtrial calibrate`: the baseline against itself."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from fairtrial.cli.output import as_json, output_option, print_json
from fairtrial.errors import ExitCode


@click.command("calibrate")
@click.argument("file", default="experiment.yaml", type=click.Path(path_type=Path))
@click.option(
    "--replays",
    type=click.IntRange(20, 100_000),
    default=200,
    show_default=True,
    help="Relabelled copies of the run to judge; more tell the rate more exactly.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the relabelling.")
@output_option
def command(file: Path, replays: int, seed: int) -> ExitCode:
    """Run the baseline of FILE against a copy of itself, and measure how often a verdict would be false.

    One run of the whole load; its evidence is then judged many times, with the arms' names exchanged at
    random in stretches of time, as it might as well have come out. Every margin is taken to be 0, where
    arms that are the same lie exactly on it. Ends with 11 if a stated rate is not kept.
    """
    from fairtrial.calibration.replays import at_the_null, calibrate
    from fairtrial.calibration.trial import observe
    from fairtrial.calibration.words import document, sentences
    from fairtrial.cli.progress import Progress
    from fairtrial.cli.signals import ending_on_signals
    from fairtrial.clock import SystemClock
    from fairtrial.console.fetching import fetching_to
    from fairtrial.errors import UsageError
    from fairtrial.experiment.reading import load

    experiment = load(file)
    if experiment.spec.traffic.load_test is None:
        raise UsageError("calibrate drives a load test, and this experiment has live traffic; say loadTest")
    longest = experiment.spec.traffic.driven.max_duration
    with ending_on_signals(), Progress(sys.stderr, time.monotonic) as progress:
        spec, evidence = observe(
            experiment,
            at_the_null,
            SystemClock(),
            progress.phase,
            lambda seconds: progress.of("load", seconds, longest, "s"),
            fetching_to(progress),
        )
        progress.phase("replaying")
        try:
            result = calibrate(
                spec,
                evidence,
                replays=replays,
                seed=seed,
                progress=lambda done: progress.of("replays", done, replays),
            )
        except ValueError as error:
            raise UsageError(f"nothing to calibrate by: {error}") from error
    if as_json():
        print_json(document(result))
    else:
        for line in sentences(result):
            click.echo(line)
    return ExitCode.OK if result.kept else ExitCode.INCONCLUSIVE
