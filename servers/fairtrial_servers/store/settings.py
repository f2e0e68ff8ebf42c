"""What the environment says of the cache and of downloads."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairtrial_servers.errors import ServerError

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


@dataclass(frozen=True)
class Settings:
    folder: Path  # of the cache
    size: int  # bytes; what all models in it may take, and so any one of them
    stale: bool  # whether a copy is good enough while its store does not answer
    timeout: float  # seconds without a byte after which a store is given up


def settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """From FAIRTRIAL_CACHE, FAIRTRIAL_CACHE_SIZE, FAIRTRIAL_CACHE_STALE and FAIRTRIAL_FETCH_TIMEOUT.

    Raises ServerError for a value that cannot be read.
    """
    said = environ.get("FAIRTRIAL_CACHE")
    folder = Path(said).expanduser() if said else _user_folder(environ) / "fairtrial" / "models"
    return Settings(
        folder.absolute(),
        _bytes(environ.get("FAIRTRIAL_CACHE_SIZE") or "20G"),
        _flag("FAIRTRIAL_CACHE_STALE", environ),
        _seconds(environ.get("FAIRTRIAL_FETCH_TIMEOUT") or "60"),
    )


def in_words(size: int) -> str:
    """Bytes for people: "1.5 GiB"."""
    if size < 2**10:
        return f"{size} bytes"
    unit = next((u for u in ("T", "G", "M") if size >= _UNITS[u]), "K")
    return f"{size / _UNITS[unit]:.3g} {unit}iB"


def _user_folder(environ: Mapping[str, str]) -> Path:
    if environ.get("XDG_CACHE_HOME"):
        return Path(environ["XDG_CACHE_HOME"])
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def _bytes(said: str) -> int:
    found = _SIZE.fullmatch(said.strip())
    size = int(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if size <= 0:
        raise ServerError(f"FAIRTRIAL_CACHE_SIZE is a size such as 20G or 500M, not {said!r}")
    return size


def _flag(name: str, environ: Mapping[str, str]) -> bool:
    value = environ.get(name, "").lower()
    if value not in ("", "0", "1", "true", "false"):
        raise ServerError(f"{name} is 1 or 0, not {value!r}")
    return value in ("1", "true")


def _seconds(said: str) -> float:
    try:
        value = float(said)
    except ValueError:
        value = 0.0
    if not 0 < value < 86_400:
        raise ServerError(f"FAIRTRIAL_FETCH_TIMEOUT is a number of seconds, not {said!r}")
    return value
