"""The command line: one module for each verb, imported only when the verb is used."""

from __future__ import annotations


def main() -> None:
    """The `fairtrial` command. Always ends the process, with a code from `fairtrial.errors.ExitCode`."""
    from fairtrial.cli.group import cli

    cli.main(prog_name="fairtrial")
