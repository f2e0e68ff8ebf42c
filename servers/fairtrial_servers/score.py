"""`python -m fairtrial_servers.score MODEL DATA --out OUT`: batch scoring without the `fairtrial`
command, as in the servers' image.

One line on stdout says what was done, or with `--output json` a document. On an error the last line on stderr
is one sentence, and the exit code is 2 (data, options, output), 3 (model) or 4 (unsafe model).
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Any

import click

from fairtrial_servers.errors import ServerError
from fairtrial_servers.scoring.arguments import HELP, arguments, options_from
from fairtrial_servers.scoring.progress import watch
from fairtrial_servers.scoring.run import run


@click.command("score", help=HELP)
@arguments
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def main(output: str, **said: Any) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        outcome = run(options_from(**said), watch(sys.stderr, quiet=output == "json"))
    except ServerError as error:
        click.echo(f"cannot score: {error}", err=True)
        sys.exit(error.exit_code)
    click.echo(json.dumps(outcome.document(), indent=2) if output == "json" else outcome.sentence())


if __name__ == "__main__":
    main(prog_name="python -m fairtrial_servers.score")
