"""`fairtrial load-worker`: send a share of a load that a run elsewhere leads."""

from __future__ import annotations

import os
import sys

import click
from fairtrial_loadtests.crew import TOKEN, read_address
from fairtrial_loadtests.errors import BadLoadError

from fairtrial.cli.output import as_json, output_option, print_json
from fairtrial.errors import ExitCode, UsageError


@click.command("load-worker")
@click.option(
    "--master",
    required=True,
    metavar="HOST:PORT",
    help="Where `fairtrial run --expect-workers` listens.",
)
@click.option("--name", help="What incidents call this worker.  [default: the machine's name]")
@output_option
def command(master: str, name: str | None) -> ExitCode:
    """Send a share of the load of `fairtrial run --expect-workers N --bind HOST:PORT` on another machine.

    Plan and data come from there, and observations go there. Waits five minutes for the run to begin, ends
    with it (exit code 0), and a minute after it was last heard of (3). FAIRTRIAL_LOAD_TOKEN must be what it
    is there.
    """
    try:
        address = read_address(master)
    except BadLoadError as error:
        raise UsageError(str(error)) from error
    if not address.is_of_this_machine_only and not os.environ.get(TOKEN):
        raise UsageError(f"{TOKEN} is not set: give it the text that it has where the run is")
    if as_json():
        print_json({"master": str(address), "name": name})
        sys.stdout.flush()  # this process is about to be another
    named = ["--name", name] if name else []
    # The load is a process of its own: gevent patches the one it is in.
    program = [sys.executable, "-m", "fairtrial_loadtests.member", "--master", str(address), *named]
    os.execv(program[0], program)
