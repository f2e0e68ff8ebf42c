"""The access log of a split (`fairtrial_graphs.backends.local.access_log`) as observations.

A request has no intended send time there: its time is that of its first byte at the proxy, so a stall before
the proxy does not show. Requests that a header sent to an arm are left out: they were not drawn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from fairtrial.errors import UsageError
from fairtrial.evidence.arrow import RecordBatch
from fairtrial.evidence.sorting import Progress, sorted_by_time

_NAME = re.compile(r"access(?:-(\d{6,}))?\.jsonl")
_ROWS = 1 << 16
_SCHEMA = pa.schema(
    [
        ("arm", pa.string()),
        ("time", pa.float64()),
        ("latency", pa.float64()),
        ("status", pa.int64()),
        ("id", pa.string()),
        ("unit", pa.string()),
        ("segment", pa.string()),
    ]
)
# A gRPC call that failed has the HTTP status 200; these are what REST answers to the same.
_OF_GRPC = {3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 422, 12: 501, 14: 503, 16: 401}


class AccessLogs:
    """An access log with the older files that it was continued from, or one of these files."""

    def __init__(self, path: Path, *, progress: Progress | None = None) -> None:
        self._path = path
        self._progress = progress

    def batches(self) -> Iterator[RecordBatch]:
        """See `ObservationSource`. A line is written when a request has ended, so they are sorted here."""
        return sorted_by_time(self.scan(), progress=self._progress)

    def scan(self) -> Iterator[RecordBatch]:
        """See `ObservationSource`."""
        rows = (row for path in _files(self._path) for row in _rows(path))
        while chunk := list(islice(rows, _ROWS)):
            yield pa.RecordBatch.from_pylist(chunk, schema=_SCHEMA)


def is_access_log(path: Path) -> bool:
    """Whether a path is, or has in it, what a split writes."""
    if path.is_dir():
        return any(_NAME.fullmatch(file.name) for file in path.iterdir())
    return _NAME.fullmatch(path.name) is not None


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    numbered = ((_NAME.fullmatch(file.name), file) for file in path.iterdir())
    # The one without a number is the newest.
    return [file for _, file in sorted((int(match[1] or 1 << 62), file) for match, file in numbered if match)]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as lines:
            yield from _parsed(path, lines)
    except FileNotFoundError:  # deleted meanwhile to make room
        return


def _parsed(path: Path, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            return  # still being written
        try:
            row = _observation(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{path}:{number}: this is no line of a split's access log") from error
        if row is not None:
            yield row


def _observation(said: dict[str, Any]) -> dict[str, Any] | None:
    """What a line says; None of a request that was not drawn."""
    if not said["segment"]:
        return None
    whole, cut_off = said["microseconds"], said["milliseconds"]
    grpc = int(said["grpc"] or 0)
    return {
        "arm": (said["cluster"] or "").partition("@")[0],
        "time": float(said["time"]),
        "latency": whole / 1e6 if whole is not None else (cut_off or 0) / 1e3,
        "status": _OF_GRPC.get(grpc, 500) if grpc else int(said["status"] or 0),
        "id": said["id"],
        "unit": said.get("unit") or said.get("newUnit"),
        "segment": said["segment"],
    }
