"""`fairtrial resume`: finish a run that was cut off."""

from __future__ import annotations

from pathlib import Path

import click

from fairtrial.cli.crew import crew_of, crew_options
from fairtrial.cli.experiments import asking, experiment_options, is_on_cluster, tell
from fairtrial.cli.output import output_option, say
from fairtrial.cli.outputs import no_outputs, outputs_options, remember_run
from fairtrial.cli.signals import ending_on_signals
from fairtrial.cli.watching import console_for, outcome
from fairtrial.console.fetching import fetching_told
from fairtrial.controller.session import Options, resume
from fairtrial.errors import ExitCode, UsageError
from fairtrial.journal.folder import find_run


@click.command("resume")
@click.argument("run", required=False)
@click.option("--keep-serving", is_flag=True, help="Go on serving the outcome until interrupted.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the split.  [default: a free one]")
@click.option("--take-over", is_flag=True, help="On a cluster: take what others have set meanwhile.")
@crew_options
@experiment_options
@output_option
@outputs_options
def command(
    run: str | None,
    keep_serving: bool,
    port: int | None,
    take_over: bool,
    workers: int | None,
    expect_workers: int | None,
    bind: str | None,
    namespace: str | None,
    context: str | None,
    kubeconfig: Path | None,
) -> ExitCode:
    """Finish RUN (a folder or an id; default: the newest), whatever ended it, with nothing counted twice.

    With --namespace or --context RUN is the name of an Experiment on a cluster: it goes on if it is paused,
    and begins another run if the last one has ended.
    """
    if is_on_cluster(namespace, context, kubeconfig):
        no_outputs("of an Experiment on a cluster the verdict is in its status")
        tell(run, "resume", asking(run, namespace, context, kubeconfig).resume())
        return ExitCode.OK
    folder = find_run(run, Path.cwd())
    remember_run(folder)
    with ending_on_signals(), fetching_told() as fetching:
        crew = crew_of(workers, expect_workers, bind)
        options = Options(keep_serving=keep_serving, port=port, take_over=take_over, crew=crew)
        resume(folder, options, console_for, fetching=fetching)
    if not folder.verdict.is_file():
        raise UsageError(
            f"run {folder.id} was aborted and has no verdict; start another with `fairtrial run`"
        )
    say(f"run {folder.id} has ended; its report is {folder.report}")
    return outcome(folder)
