"""`fairtrial history`: which version served when, why, and on what evidence."""

from __future__ import annotations

from pathlib import Path

import click

from fairtrial.cli.output import as_json, output_option, print_json, say


@click.command("history")
@click.argument("pipeline", metavar="[MODEL]", required=False)
@click.option(
    "--at",
    "at",
    metavar="TIME",
    help="Which version was in service then: 2026-11-28, or 2026-11-28T16:30 (UTC unless it says otherwise).",
)
@click.option("--full", is_flag=True, help="All that is known of each entry.")
@output_option
def command(pipeline: str | None, at: str | None, full: bool) -> None:
    """What became of the versions of MODEL: a pipeline's name or folder, or the only one here.

    The log is a chain of hashes, which is checked each time: an entry that was changed, removed or put in
    afterwards is told, with exit code 1.
    """
    from fairtrial.delivery.ledger import in_service, read
    from fairtrial.delivery.narrating import as_documents, entry_at, lines_of, parse_time
    from fairtrial.delivery.places import find_folder
    from fairtrial.delivery.state import State

    moment = parse_time(at) if at is not None else None
    state = State(find_folder(pipeline, Path.cwd()), make=False)
    try:
        entries = read(state)
    finally:
        state.close()
    if moment is not None:
        found = in_service(entries, moment)
        for line in entry_at(found, moment):
            say(line)
        if as_json():
            print_json({"at": moment, "inService": as_documents([found])[0] if found else None})
        return
    for line in lines_of(entries, full=full):
        say(line)
    if as_json():
        print_json({"entries": as_documents(entries)})
