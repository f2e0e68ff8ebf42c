"""`--junit` and `--summary`: files for CI servers, written however the verb ends."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from fairtrial.cli.failure import bug_in_words
from fairtrial.cli.options import together
from fairtrial.clock import SystemClock
from fairtrial.errors import ExitCode, FairtrialError, UsageError

if TYPE_CHECKING:
    from fairtrial.journal.folder import RunFolder
    from fairtrial.judge.verdict import Verdict
    from fairtrial.outputs.interface import Output
    from fairtrial.outputs.outcome import Outcome

_now = SystemClock().now
_F = TypeVar("_F", bound=Callable[..., Any])
_KEY = "fairtrial.outputs"
_FILE = click.Path(path_type=Path)
_options = together(
    click.option("--junit", type=_FILE, metavar="FILE", help="Write JUnit XML there, however it ends."),
    click.option("--summary", type=_FILE, metavar="FILE", help="Write a summary in Markdown there."),
)


@dataclass
class _Known:
    """What the verb is about, as far as it has come."""

    file: Path | None  # the experiment, if it takes one
    began: float = field(default_factory=_now)  # seconds since the epoch
    folder: RunFolder | None = None
    verdict: Verdict | None = None


def outputs_options(callback: _F) -> _F:
    """Add the options, and write the files when the verb ends: with its verdict, an error or a signal.

    The verb says what it is about by `remember_run` or `remember_verdict`. That the files can be written is
    seen to before it begins; should that fail after all, a warning says so and the exit code stays.
    """

    @functools.wraps(callback)
    def wrapped(*args: Any, junit: Path | None, summary: Path | None, **kwargs: Any) -> Any:
        context = click.get_current_context()
        known = context.meta[_KEY] = _Known(context.params.get("file"))
        wanted = [path.resolve() for path in (junit, summary) if path is not None]
        read = {each.resolve() for each in kwargs.values() if isinstance(each, Path)}
        _check(wanted, read)
        write = functools.partial(_write, junit, summary, known) if wanted else _nothing
        try:
            code = callback(*args, **kwargs)
        except FairtrialError as error:
            write(error.exit_code, str(error))
            raise
        except KeyboardInterrupt:
            write(ExitCode.INTERRUPTED, "It was interrupted; `fairtrial resume` takes a run up again.")
            raise
        except click.ClickException as error:
            write(ExitCode.USAGE, error.format_message())
            raise
        except Exception as error:
            write(ExitCode.INTERNAL, bug_in_words(error))
            raise
        write(code, None)
        return code

    return _options(cast("_F", wrapped))


def remember_run(folder: RunFolder) -> None:
    """What the verb does is about this run."""
    _known().folder = folder


def remember_verdict(verdict: Verdict) -> None:
    """The verdict of a verb that has no run."""
    _known().verdict = verdict


def no_outputs(why: str) -> None:
    """Raises UsageError if somebody asked for a file that this verb cannot write."""
    context = click.get_current_context()
    if context.params.get("junit") or context.params.get("summary"):
        raise UsageError(f"--junit and --summary tell of a run of this machine; {why}")


def _known() -> _Known:
    known: _Known = click.get_current_context().meta[_KEY]
    return known


def _check(files: list[Path], others: set[Path]) -> None:
    """Before anything begins: nothing of an earlier run is left, and each file can be written.

    others: files and folders that the verb is about; a slip must not cost somebody an experiment.
    """
    if len(set(files)) < len(files):
        raise UsageError(f"--junit and --summary are two files, not both {files[0]}")
    for path in files:
        if path in others:
            raise UsageError(f"cannot write {path}: the command is about that file itself")
        if path.exists() and not path.is_file():
            raise UsageError(f"cannot write {path}: it is no file")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not _is_shared(path):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from error
        if not os.access(path.parent, os.W_OK):
            raise UsageError(f"cannot write {path}: its folder may not be written to")


def _is_shared(path: Path) -> bool:
    """GitHub's file of a step's summary is everybody's in that step: it is added to."""
    shared = os.environ.get("GITHUB_STEP_SUMMARY")
    return bool(shared) and Path(shared).resolve() == path


def _nothing(code: ExitCode | None, error: str | None) -> None:
    del code, error


def _write(
    junit: Path | None, summary: Path | None, known: _Known, code: ExitCode | None, error: str | None
) -> None:
    """code: None for a verb that tells of a run and has no verdict of its own."""
    outcome = _outcome(known, code, error)
    if junit is not None:
        from fairtrial.outputs.junit import junit as written

        _write_file(junit, written, outcome)
    if summary is not None:
        from fairtrial.outputs.summary import summary as written

        _write_file(summary, written, outcome)


def _outcome(known: _Known, code: ExitCode | None, error: str | None) -> Outcome:
    from fairtrial.outputs.gathering import name_in, of_run, of_verdict
    from fairtrial.outputs.outcome import Outcome

    outcome = Outcome(name_in(known.file), code, known.began, _now() - known.began, error)
    if known.folder is not None:
        return of_run(outcome, known.folder)
    return outcome if known.verdict is None else of_verdict(outcome, known.verdict)


def _write_file(path: Path, output: Output, outcome: Outcome) -> None:
    from fairtrial.atomic import write_text

    path = path.resolve()
    before = path.read_text(encoding="utf-8") if _is_shared(path) and path.is_file() else ""
    try:
        write_text(path, before + output(outcome))
    except UsageError as error:
        click.echo(f"warning: {error}", err=True)
