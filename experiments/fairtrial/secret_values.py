"""What a file says is elsewhere, in the environment or in a file of its own: read when it is used."""

from __future__ import annotations

import os
from pathlib import Path

from fairtrial.errors import UsageError
from fairtrial.experiment.notifications import Secret


def values_of(secret: Secret, folder: Path, *, what: str) -> list[str]:
    """At least one, each a line of its own.

    folder: what a relative path starts from. what: it is called so in words ("address"). Raises UsageError,
    which tells where it should be, and nothing of what is there.
    """
    if secret.env is not None:
        where = f"the environment's {secret.env}"
        text = os.environ.get(secret.env, "")
    else:
        assert secret.file is not None, "the model demands one of the two"
        path = folder / secret.file
        where = str(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {path}: {type(error).__name__}") from error
    lines = (line.strip() for line in text.splitlines())
    values = [line for line in lines if line and not line.startswith("#")]
    if not values:
        raise UsageError(f"{where} is empty or not set, where the {what} should be")
    return values


def value_of(secret: Secret, folder: Path, *, what: str) -> str:
    """The one that is there. Raises UsageError, also where there are several."""
    values = values_of(secret, folder, what=what)
    if len(values) > 1:
        raise UsageError(f"expected one {what}, found {len(values)}")
    return values[0]
