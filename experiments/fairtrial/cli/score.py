"""`fairtrial score`: batch predictions."""

from __future__ import annotations

import sys
from typing import Any

import click
from fairtrial_servers.scoring.arguments import HELP, arguments

from fairtrial.cli.output import as_json, output_option, print_json, say
from fairtrial.cli.signals import ending_on_signals
from fairtrial.errors import ExitCode


@click.command("score", help=HELP)
@arguments
@output_option
def command(**said: Any) -> ExitCode:
    from fairtrial.scoring import score_rows

    with ending_on_signals():
        outcome = score_rows(said, sys.stderr, quiet=as_json())
    if as_json():
        print_json(outcome.document())
    else:
        say(outcome.sentence())
    return ExitCode.OK
