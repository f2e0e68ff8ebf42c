"""Loads skops files, which hold a description of objects and no code, through the same policy."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from skops.io import get_untrusted_types, load

from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.safety.pickles import MAX_UNCOMPRESSED, check


def load_skops(path: Path, trusted: frozenset[str]) -> Any:
    """The object in a skops file.

    Types that skops does not know are admitted by the policy or not at all (safety/policy.py).
    Raises UnsafeModelError, ModelError.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        types = get_untrusted_types(file=path) if size <= MAX_UNCOMPRESSED else []
    except Exception as error:
        raise _damaged(path, error) from error
    if size > MAX_UNCOMPRESSED:
        raise UnsafeModelError(f"{path.name} holds more than {MAX_UNCOMPRESSED / 2**30:.1f} GiB: not loaded")
    for full in types:
        module, _, name = full.rpartition(".")
        check(module, name, path.name, trusted)
    try:
        return load(path, trusted=types)
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ModelError:
    # A damaged file can fail in any way at all.
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return ModelError(f"{path.name} is damaged or not a skops file: {reason}")
