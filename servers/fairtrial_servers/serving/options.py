"""What the parameters of a graph node say about serving, beside what they say to its runtime."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fairtrial_servers.errors import ServerError

#: Bytes that the body of a REST request may have, packed or not, unless `max_body` says another number.
MAX_BODY = 256 * 1024 * 1024

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)?")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
_SIZE = re.compile(r"(\d+)(B|KB|MB|GB|KiB|MiB|GiB)?")
_BYTES = {None: 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True)
class Batching:
    """`rows` of a batch at most, and how long the first request of one waits for others, in seconds."""

    rows: int
    seconds: float


@dataclass(frozen=True)
class Caching:
    """Answers are kept at `url` for `keep` seconds, if they are no larger than `most` bytes; a look-up that
    takes longer than `timeout` seconds is given up."""

    url: str
    keep: float
    timeout: float
    most: int


def batching_of(parameters: Mapping[str, str], rows: int, seconds: float) -> Batching | None:
    """`max_batch_size` and `max_batch_time`; `rows` and `seconds` are what MLServer's own settings say.

    None when requests are not to be put together. Raises ServerError.
    """
    said = parameters.get("max_batch_size")
    if said is not None:
        if not (said.isascii() and said.isdecimal() and len(said) < 10):
            raise ServerError(f'the parameter "max_batch_size" is a number of rows, not {said!r}')
        rows = int(said)
    if rows <= 1:
        return None
    # MLServer's setting is 0 when nothing was said; the parameter may say 0: what came at the same moment.
    return Batching(rows, duration(parameters, "max_batch_time", f"{seconds}" if seconds > 0 else "2ms"))


def caching_of(parameters: Mapping[str, str]) -> Caching | None:
    """`cache`, `cache_ttl`, `cache_timeout`, `cache_max_value`. Raises ServerError."""
    url = parameters.get("cache", "")
    if not url:
        return None
    if not url.startswith(("redis://", "rediss://", "unix://")):
        kind = url.partition("://")[0] if "://" in url else "no scheme"
        raise ServerError(f'the parameter "cache" is a redis:// address, and not one with {kind}')
    return Caching(
        url,
        keep=duration(parameters, "cache_ttl", "1h"),
        timeout=duration(parameters, "cache_timeout", "5ms"),
        most=size(parameters, "cache_max_value", "1MB"),
    )


def duration(parameters: Mapping[str, str], name: str, otherwise: str) -> float:
    """Seconds, from "5ms", "1h" or plain seconds as MLServer has them. Raises ServerError."""
    said = parameters.get(name, otherwise)
    found = _DURATION.fullmatch(said)
    if found is None:
        raise ServerError(f'the parameter "{name}" is a duration such as 5ms or 1h, not {said!r}')
    return float(found[1]) * _SECONDS[found[2]]


def size(parameters: Mapping[str, str], name: str, otherwise: str) -> int:
    """Bytes, from "1MB", "512KiB" or a plain number. Raises ServerError."""
    said = parameters.get(name, otherwise)
    found = _SIZE.fullmatch(said)
    if found is None:
        raise ServerError(f'the parameter "{name}" is a size such as 1MB or 512KiB, not {said!r}')
    return int(found[1]) * _BYTES[found[2]]
