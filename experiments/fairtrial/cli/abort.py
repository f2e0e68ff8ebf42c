"""`fairtrial abort`: end a run from another terminal."""

from __future__ import annotations

from pathlib import Path

import click

from fairtrial.cli.experiments import asking, experiment_options, is_on_cluster, tell
from fairtrial.cli.output import as_json, output_option, print_json, say
from fairtrial.clock import SystemClock
from fairtrial.errors import UsageError
from fairtrial.journal.entries import Kind
from fairtrial.journal.folder import find_run
from fairtrial.journal.store import Journal


@click.command("abort")
@click.argument("run", required=False)
@experiment_options
@output_option
def command(run: str | None, namespace: str | None, context: str | None, kubeconfig: Path | None) -> None:
    """Ask RUN (a folder or an id; default: the newest) to return to the baseline and end with code 12.

    With --namespace or --context RUN is the name of an Experiment on a cluster.
    """
    if is_on_cluster(namespace, context, kubeconfig):
        tell(run, "abort", asking(run, namespace, context, kubeconfig).abort())
        return
    folder = find_run(run, Path.cwd())
    journal = Journal.open(folder.journal, SystemClock())
    try:
        if journal.last(Kind.ENDED) is not None:
            raise UsageError(f"run {folder.id} has ended already")
        started = journal.last(Kind.STARTED)
        running = folder.is_running()
        if not running and (started is None or "cluster" not in started.body):
            raise UsageError(
                f"run {folder.id} is not running, so nothing serves; `fairtrial resume` takes it up again"
            )
        journal.append(Kind.ABORT)
    finally:
        journal.close()
    if running:
        say(f"run {folder.id} was told to end; it returns to the baseline first")
    else:
        say(f"run {folder.id} is not running; `fairtrial resume {folder.id}` returns to the baseline now")
    if as_json():
        print_json({"run": folder.id, "asked": "abort"})
