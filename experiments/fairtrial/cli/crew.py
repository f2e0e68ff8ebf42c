"""Who sends the load: the options of `run` and `resume`."""

from __future__ import annotations

import os
import secrets

import click
from fairtrial_loadtests.crew import TOKEN, Crew, read_address
from fairtrial_loadtests.errors import BadLoadError

from fairtrial.cli.options import together
from fairtrial.errors import UsageError

#: The verb makes a `Crew` of their values by `crew_of`.
crew_options = together(
    click.option(
        "--workers", type=click.IntRange(1), metavar="N", help="Processes that send the load.  [default: 1]"
    ),
    click.option(
        "--expect-workers",
        type=click.IntRange(1),
        metavar="N",
        help="Send the load from N `fairtrial load-worker` on other machines.",
    ),
    click.option("--bind", metavar="HOST:PORT", help="Where those workers reach this machine."),
)


def let_token_be() -> None:
    """Workers that this process starts itself need a token that nobody else has to know."""
    os.environ.setdefault(TOKEN, secrets.token_hex(16))


def crew_of(workers: int | None, expect_workers: int | None, bind: str | None) -> Crew:
    """Raises UsageError for what cannot be."""
    if workers is not None and expect_workers is not None:
        raise UsageError("--workers are processes of this machine, --expect-workers others; say one of them")
    if (expect_workers is None) != (bind is None):
        raise UsageError("--expect-workers N and --bind HOST:PORT need one another")
    try:
        crew = Crew(workers or expect_workers or 1, read_address(bind) if bind else None)
        crew.check()
    except BadLoadError as error:
        raise UsageError(str(error)) from error
    return crew
