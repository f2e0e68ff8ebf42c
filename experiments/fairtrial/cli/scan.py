"""`fairtrial scan`: is this file safe to load?"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from fairtrial.cli.output import as_json, output_option, print_json, say
from fairtrial.cli.progress import Progress
from fairtrial.errors import ExitCode, NotReadyError, UsageError


@click.command("scan")
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@click.option(
    "--allow",
    "allow",
    multiple=True,
    metavar="NAME",
    help="A module, or module.name, that the model may refer to; told in the result. Can be repeated.",
)
@output_option
def command(model: Path, allow: tuple[str, ...]) -> ExitCode:
    """Say whether MODEL, a file or a folder, is safe to load, and what it asks for if it is not.

    Archives and compressed files are gone through, layer by layer; nothing is loaded or run. What cannot be
    examined is unsafe. Exit code 0: safe; 4: not safe; 3: missing, or damaged.
    """
    from fairtrial_servers.errors import ModelError
    from fairtrial_servers.safety.scan.survey import scan

    for name in allow:
        if not name or not all(part.isidentifier() for part in name.split(".")):
            raise UsageError(f"--allow takes a module, or module.name, not {name!r}")
    progress = Progress(sys.stderr, time.monotonic)
    with progress:

        def tell(done: int, total: int) -> None:
            if total > 1 and (done < total or sys.stderr.isatty()):
                progress.of("examined", done, total, "files")

        try:
            report = scan(model, allow=allow, progress=tell)
        except ModelError as error:
            raise NotReadyError(str(error)) from error
    for found in report.findings:
        say(str(found))
    for found in report.allowed:
        say(f"{found} (allowed)")
    say(_verdict(report))
    if as_json():
        print_json(_document(report, allow))
    if report.safe:
        return ExitCode.OK
    return ExitCode.NOT_READY if report.damaged else ExitCode.UNSAFE


def _verdict(report: Any) -> str:
    examined = f"{report.files:,} file{'s' if report.files != 1 else ''} examined"
    if report.safe:
        passed = f", with {len(report.allowed)} allowed by name" if report.allowed else ""
        return f"{report.path}: safe to load ({examined}{passed})"
    count = len(report.findings)
    found = f"{count} finding{'s' if count != 1 else ''}"
    if report.damaged:
        return f"{report.path}: damaged, not to be loaded ({found}, {examined})"
    return f"{report.path}: NOT safe to load ({found}, {examined})"


def _document(report: Any, allow: tuple[str, ...]) -> dict[str, Any]:
    def entry(found: Any) -> dict[str, Any]:
        return {
            "file": found.file,
            "path": list(found.trail),
            "kind": found.kind.value,
            "what": found.what,
            "why": found.why,
            "name": found.name,
        }

    return {
        "model": str(report.path),
        "safe": report.safe,
        "verdict": "safe" if report.safe else "damaged" if report.damaged else "unsafe",
        "files": report.files,
        "bytes": report.size,
        "findings": [entry(found) for found in report.findings],
        "allow": list(allow),
        "allowed": [entry(found) for found in report.allowed],
    }
