"""Files that are seen whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from fairtrial.errors import UsageError


def write_text(path: Path, text: str) -> None:
    """Write `path` in one step. Raises UsageError (a full disk, no permission), leaving what was there."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
