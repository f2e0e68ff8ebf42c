"""How errors end: a sentence on stderr, and a document on stdout for those who asked for JSON."""

from __future__ import annotations

import os
import tempfile
import traceback
from typing import Any

import click

from fairtrial.cli.output import as_json, print_json
from fairtrial.errors import ExitCode, FairtrialError


def report_error(error: FairtrialError, ctx: click.Context) -> None:
    """A mistake that the user can mend."""
    click.echo(f"error: {error}", err=True)
    document: dict[str, Any] = {"error": str(error), "exitCode": int(error.exit_code)}
    problems = getattr(error, "problems", ())
    if problems:
        document["problems"] = [problem.as_json() for problem in problems]
    _document(document, ctx)


def bug_in_words(error: Exception) -> str:
    """One line."""
    return f"a bug in Fairtrial ({f'{type(error).__name__}: {error}'.splitlines()[0]})"


def report_bug(error: Exception, ctx: click.Context) -> None:
    """A mistake of ours: one sentence; the traceback goes to a file, or to stderr with `--debug`."""
    if ctx.meta.get("fairtrial.debug"):
        traceback.print_exception(error)
        where = "the traceback is above"
    else:
        handle, path = tempfile.mkstemp(prefix="fairtrial-bug-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            traceback.print_exception(error, file=file)
        where = f"the traceback is in {path}"
    message = f"{bug_in_words(error)}; {where}, please report it"
    click.echo(f"error: {message}", err=True)
    _document({"error": message, "exitCode": int(ExitCode.INTERNAL)}, ctx)


def _document(document: dict[str, Any], ctx: click.Context) -> None:
    if as_json(ctx):
        print_json(document)
