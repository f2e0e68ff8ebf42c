"""`fairtrial status`: how a run stands."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from fairtrial.cli.experiments import asking, experiment_options, is_on_cluster, show
from fairtrial.cli.output import as_json, output_option, print_json, say
from fairtrial.clock import SystemClock
from fairtrial.journal.entries import Entry, Kind
from fairtrial.journal.folder import RunFolder, find_run
from fairtrial.journal.store import Journal
from fairtrial.journal.waiting import waits_for


@click.command("status")
@click.argument("run", required=False)
@experiment_options
@output_option
def command(run: str | None, namespace: str | None, context: str | None, kubeconfig: Path | None) -> None:
    """Show how RUN (a folder or an id; default: the newest) stands, running or ended.

    With --namespace or --context RUN is the name of an Experiment on a cluster.
    """
    if is_on_cluster(namespace, context, kubeconfig):
        show(asking(run, namespace, context, kubeconfig))
        return
    folder = find_run(run, Path.cwd())
    journal = Journal.open(folder.journal, SystemClock())
    try:
        document = _document(folder, journal)
    finally:
        journal.close()
    if as_json():
        print_json(document)
        return
    say(f"run      {document['run']}")
    say(f"state    {document['state']}")
    if document["waitsFor"]:
        say(f"waits    {document['waitsFor']}")
    say(f"verdict  {document['verdict'] or 'none yet'}")
    if document["looks"]:
        say(f"looks    {document['looks']}, {document['elapsed']:.0f} s of load")
    for entry in document["effects"]:
        when = time.strftime("%H:%M:%S", time.localtime(entry["time"]))
        say(f"{when}  {entry['effect']}{'' if entry['done'] else ' (begun)'}")
    for reason in document["reasons"]:
        say(f"  {reason}")


def _document(folder: RunFolder, journal: Journal) -> dict[str, Any]:
    entries = journal.entries()
    last_look = next((e for e in reversed(entries) if e.kind is Kind.LOOK), None)
    judged = last_look.body["verdict"] if last_look else {}
    return {
        "run": folder.id,
        "folder": str(folder.path),
        "state": _state(folder, entries),
        "waitsFor": waits_for(entries, time.time()),
        "verdict": judged.get("verdict"),
        "reasons": judged.get("reasons", []),
        "looks": judged.get("look", 0),
        "elapsed": judged.get("elapsed", 0.0),
        "effects": _effects(entries),
    }


def _effects(entries: list[Entry]) -> list[dict[str, Any]]:
    """Each effect once: done, or begun and not known to be done."""
    shown: list[dict[str, Any]] = []
    for entry in entries:
        if entry.kind is Kind.INTENDED and entry.effect:
            shown.append({"time": entry.time, "effect": entry.effect.value, "done": False, **entry.body})
        elif entry.kind is Kind.DONE and entry.effect and shown:
            shown[-1]["done"] = True
    return shown


def _state(folder: RunFolder, entries: list[Entry]) -> str:
    ended = [entry for entry in entries if entry.kind is Kind.ENDED]
    if ended:
        return "aborted" if ended[-1].body.get("aborted") else "ended"
    if folder.is_running():
        return "running"
    last = next((entry for entry in reversed(entries) if entry.kind in (Kind.FAILED, Kind.RESUMED)), None)
    if last is not None and last.kind is Kind.FAILED:
        return f"failed: {last.body['message']}"
    return "cut off; `fairtrial resume` takes it up again"
