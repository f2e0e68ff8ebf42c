"""`fairtrial approve`: say yes to a promotion that waits for a person."""

from __future__ import annotations

from pathlib import Path

import click

from fairtrial.cli.experiments import asking, experiment_options, is_on_cluster, tell
from fairtrial.cli.output import as_json, output_option, print_json, say
from fairtrial.clock import SystemClock
from fairtrial.errors import UsageError
from fairtrial.journal.entries import Kind
from fairtrial.journal.folder import RunFolder, find_run
from fairtrial.journal.store import Journal


@click.command("approve")
@click.argument("run", required=False)
@experiment_options
@output_option
def command(run: str | None, namespace: str | None, context: str | None, kubeconfig: Path | None) -> None:
    """Let RUN (a folder or an id; default: the newest) promote its candidate, which waits for a yes.

    With --namespace or --context RUN is the name of an Experiment on a cluster. Who said yes is written down.
    """
    if is_on_cluster(namespace, context, kubeconfig):
        tell(run, "approve", asking(run, namespace, context, kubeconfig).approve())
        return
    from fairtrial.controller.approval import somebody

    folder = find_run(run, Path.cwd())
    journal = Journal.open(folder.journal, SystemClock())
    try:
        _check_waits(folder, journal)
        journal.append(Kind.APPROVED, {"by": somebody()})
    finally:
        journal.close()
    after = "" if folder.is_running() else f"; it is not running: `fairtrial resume {folder.id}` makes it"
    say(f"the promotion of run {folder.id} is approved{after}")
    if as_json():
        print_json({"run": folder.id, "asked": "approve"})


def _check_waits(folder: RunFolder, journal: Journal) -> None:
    """Raises UsageError."""
    if journal.last(Kind.ENDED) is not None or journal.last(Kind.ABORT) is not None:
        raise UsageError(f"run {folder.id} has ended, or is being ended: there is nothing to approve")
    if journal.last(Kind.APPROVED) is not None:
        raise UsageError(f"the promotion of run {folder.id} is approved already")
    if journal.last(Kind.AWAITS_APPROVAL) is None:
        raise UsageError(f"run {folder.id} waits for nobody's approval")
