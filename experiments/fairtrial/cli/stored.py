"""`--baseline-run` and `--record`: a baseline that was recorded before, and how to record one."""

from __future__ import annotations

from pathlib import Path

import click

from fairtrial.cli.options import together

stored_options = together(
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
    click.option(
        "--record",
        metavar="ARM",
        help="Load this arm alone, to the end, and judge nothing: a --baseline-run for later runs.",
    ),
)
