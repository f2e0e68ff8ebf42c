"""What lets a web page of another origin call the executor: as in Seldon's, and by the same settings."""

from __future__ import annotations

import os
from collections.abc import Collection

_HEADERS = "Accept, Accept-Encoding, Authorization, Content-Length, Content-Type, X-CSRF-Token"
_EVERYWHERE = {
    "Access-Control-Allow-Origin": os.environ.get("CORS_ALLOWED_ORIGINS", "*"),
    "Access-Control-Allow-Headers": os.environ.get("CORS_ALLOWED_HEADERS", _HEADERS),
}

#: Paths that answer to any method in Seldon's executor, so that it names none.
_ANY_METHOD = frozenset({"/live", "/ready", "/metrics", "/prometheus"})


def allowing(path: str, methods: Collection[str]) -> dict[str, str]:
    """Headers of an answer of a path that takes these methods."""
    if path in _ANY_METHOD:
        return _EVERYWHERE
    return {**_EVERYWHERE, "Access-Control-Allow-Methods": ",".join(sorted({*methods, "OPTIONS"} - {"HEAD"}))}
