"""What can stop a load before it begins, with the load process's exit code. Each message is one sentence."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the load process."""

    DONE = 0  # the schedule ended, or it was asked to stop; everything is written
    FAILED = 1  # a bug, a full disk, or the controller went away
    USAGE = 2  # a bad plan or bad data
    UNREACHABLE = 3  # an arm does not answer


class LoadError(Exception):
    """Base of the errors that the load process reports in one sentence on stderr."""

    exit_code = ExitCode.FAILED


class BadLoadError(LoadError):
    """The plan or its data cannot be sent to these models."""

    exit_code = ExitCode.USAGE


class UnreachableError(LoadError):
    """An address of the plan does not answer."""

    exit_code = ExitCode.UNREACHABLE
