"""Every error a user can meet, its exit code, and nothing else.

Each class is one kind of mistake; the message says what happened, where, and what to do next.
The command line turns them into one line and an exit code, never a traceback.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The public contract with scripts and CI."""

    OK = 0  # promoted, or nothing wrong
    INTERNAL = 1  # a bug in Fairtrial
    USAGE = 2  # bad usage or bad file
    NOT_READY = 3  # backend or model failed to become ready
    UNSAFE = 4  # unsafe model
    INTERFERED = 5  # somebody else holds or has changed what is on trial
    ROLLED_BACK = 10
    INCONCLUSIVE = 11
    ABORTED = 12
    INTERRUPTED = 130


class FairtrialError(Exception):
    """Base of all errors that are told to the user as one message."""

    exit_code = ExitCode.INTERNAL


class UsageError(FairtrialError):
    """A wrong flag, a missing or damaged file, a value out of range."""

    exit_code = ExitCode.USAGE


class NotReadyError(FairtrialError):
    """The backend, or a model on it, did not become ready."""

    exit_code = ExitCode.NOT_READY

    def __init__(self, message: str, *, arm: str | None = None) -> None:
        """arm: whose fault it is, where that is known."""
        super().__init__(message)
        self.arm = arm


class UnsafeModelError(FairtrialError):
    """A model file that could run code when loaded."""

    exit_code = ExitCode.UNSAFE


class InterferedError(FairtrialError):
    """Somebody else holds what is on trial, or has changed it; it is left as they want it."""

    exit_code = ExitCode.INTERFERED


class AbortedError(FairtrialError):
    """The run was ended on request."""

    exit_code = ExitCode.ABORTED
