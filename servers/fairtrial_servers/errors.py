"""Why a model cannot be served, in words for its owner.

What a *request* did wrong is MLServer's InferenceError; where no server runs, InputError.
"""

from __future__ import annotations

from typing import ClassVar


class ServerError(Exception):
    """A server that cannot start: bad settings, a port that is taken. The message is one sentence."""

    exit_code: ClassVar[int] = 2


class ModelError(ServerError):
    """A model that is missing, damaged, or not what its format says."""

    exit_code: ClassVar[int] = 3


class UnsafeModelError(ModelError):
    """A model file that asks for code which no model of its format needs."""

    exit_code: ClassVar[int] = 4


class InputError(Exception):
    """Input that a model refuses. The message is one sentence."""
