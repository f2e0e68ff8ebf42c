"""`--baseline-run` and `--record`: a baseline that was recorded before, and how to record one."""

from __future__ import annotations

from pathlib import Path

import click

from fairtrial.cli.options import together
from fairtrial.cli.output import as_json, print_json
from fairtrial.errors import ExitCode
from fairtrial.journal.folder import RunFolder

baseline_options = together(
    click.option(
        "--baseline-run",
        type=click.Path(path_type=Path),
        metavar="RUN",
        help="Deploy and load the candidate alone, and compare it with what the baseline answered in an "
        "earlier run: its folder, a folder or archive with it, or its observations.",
    ),
    click.option(
        "--baseline-arm",
        metavar="ARM",
        help="Which arm of that run.  [default: the one that came out of it]",
    ),
)
stored_options = together(
    baseline_options,
    click.option(
        "--record",
        metavar="ARM",
        help="Load this arm alone, to the end, and judge nothing: a --baseline-run for later runs.",
    ),
)


def recorded(folder: RunFolder, arm: str) -> ExitCode:
    """Print where a recording is, if a document was asked for."""
    if as_json():
        print_json({"run": folder.id, "folder": str(folder.path), "recorded": arm})
    return ExitCode.OK
