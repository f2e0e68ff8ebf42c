"""What the split's listener writes down of each inference request, and how much of that is kept.

One JSON object a line: `time` (text, seconds since the epoch), `microseconds` from the first byte of the
request to the last of the answer (null if it was cut off, after `milliseconds`), `status` (0: no answer),
`grpc` (status of a gRPC call), `cluster` (the predictor, an @ and a number), `segment` (the split's revision;
null where a header sent the request), `id` (x-request-id), and with a sticky split `unit`; with a cookie also
`newUnit`, which counts where `unit` is null.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairtrial_graphs.backends.interface import Sticky
from fairtrial_graphs.backends.local.stickiness import unit_fields

CURRENT = "access.jsonl"
_OLD = re.compile(r"access-(\d{6,})\.jsonl")
_INFERRING = "(/v2/models/[^/?]+/infer|/api/v[0-9.]+/predictions|/inference.GRPCInferenceService/ModelInfer)"


@dataclass(frozen=True)
class AccessLog:
    """A log under `folder`: at most `files` files of about `max_bytes` each; the oldest is deleted first."""

    folder: Path
    max_bytes: int = 64 << 20
    files: int = 8

    @property
    def path(self) -> Path:
        """Absolute, as Envoy runs in a folder of its own."""
        return self.folder.absolute() / CURRENT

    def rotate(self, reopen: Callable[[], None]) -> None:
        """Begin a new file if this one is full. Until `reopen`, Envoy goes on in the old one."""
        try:
            if self.path.stat().st_size < self.max_bytes:
                return
        except FileNotFoundError:
            return
        old = sorted(
            (int(match[1]), path)
            for path in self.folder.iterdir()
            if (match := _OLD.fullmatch(path.name)) is not None
        )
        number = old[-1][0] + 1 if old else 1
        self.path.rename(self.folder / f"access-{number:06}.jsonl")
        reopen()
        for _, path in old[: max(0, len(old) + 2 - self.files)]:
            path.unlink(missing_ok=True)


def logging(path: str, sticky: Sticky | None) -> dict[str, Any]:
    """The access log of a connection manager."""
    fields = {
        "time": "%START_TIME(%s.%6f)%",
        "microseconds": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
        "milliseconds": "%DURATION%",
        "status": "%RESPONSE_CODE%",
        "grpc": "%GRPC_STATUS_NUMBER%",
        "cluster": "%UPSTREAM_CLUSTER_RAW%",
        "segment": "%ROUTE_NAME%",
        "id": "%REQ(x-request-id)%",
        **unit_fields(sticky),
    }
    inferring = {
        "header": {
            "name": ":path",
            "string_match": {"safe_regex": {"regex": rf"{_INFERRING}(\?.*)?"}},
        }
    }
    return {
        "name": "envoy.access_loggers.file",
        "filter": {"header_filter": inferring},
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": {"json_format": fields},
        },
    }
