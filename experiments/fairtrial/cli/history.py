"""`fairtrial history`: which version served when, why, and on what evidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairtrial.cli.output import as_json, output_option, print_json, say

if TYPE_CHECKING:
    from fairtrial.delivery.ledger import Entry


@click.command("history")
@click.argument("pipeline", metavar="[MODEL]", required=False)
@click.option(
    "--at",
    "at",
    metavar="TIME",
    help="Which version was in service then: 2026-11-28, or 2026-11-28T16:30 (UTC unless it says otherwise).",
)
@click.option("--full", is_flag=True, help="All that is known of each entry.")
@click.option(
    "--verify",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Hold it against the hashes that the registry of this pipeline file has.",
)
@output_option
def command(pipeline: str | None, at: str | None, full: bool, file: Path | None) -> None:
    """What became of the versions of MODEL: a pipeline's name or folder, or the only one here.

    The log is a chain of hashes, which is checked each time: an entry that was changed, removed or put in
    afterwards is told, with exit code 1. That the end was cut off, or all of it written anew, shows only
    against the registry, which --verify asks.
    """
    from fairtrial.delivery.ledger import in_service, read
    from fairtrial.delivery.narrating import as_documents, entry_at, lines_of, parse_time
    from fairtrial.delivery.state import State

    moment = parse_time(at) if at is not None else None
    state = State(_folder(pipeline, file), make=False)
    try:
        entries = read(state)
    finally:
        state.close()
    verified = _verified(entries, file) if file is not None else {}
    if moment is not None:
        found = in_service(entries, moment)
        for line in entry_at(found, moment):
            say(line)
        if as_json():
            print_json({"at": moment, "inService": as_documents([found])[0] if found else None, **verified})
        return
    for line in lines_of(entries, full=full):
        say(line)
    if as_json():
        print_json({"entries": as_documents(entries), **verified})


def _folder(said: str | None, file: Path | None) -> Path:
    from fairtrial.delivery.pipeline.reading import load
    from fairtrial.delivery.places import find_folder, folder_of

    if said is None and file is not None:
        pipeline = load(file)
        return folder_of(pipeline.folder, pipeline.name, None)
    return find_folder(said, Path.cwd())


def _verified(entries: Sequence[Entry], file: Path) -> dict[str, int]:
    from fairtrial.delivery.anchoring import check_anchors
    from fairtrial.delivery.pipeline.reading import load
    from fairtrial.registry.choose import registry_for

    versions = check_anchors(entries, registry_for(load(file).spec.registry))
    of = f"{versions} version{'' if versions == 1 else 's'}"
    say(f"the registry has hashes of it in the tags of {of}, each as it should be")
    return {"verifiedVersions": versions}
