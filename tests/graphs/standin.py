"""Starts stand-in model servers (`standin_server.py`), as a backend's launcher."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SERVER = Path(__file__).with_name("standin_server.py")


@dataclass(frozen=True)
class Command:
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict[str, str])


def launcher(
    *,
    node: str,
    implementation: str,
    model_uri: str,
    http_port: int,
    grpc_port: int,
    metrics_port: int,
    parameters: Mapping[str, str],
    folder: str,
) -> Command:
    settings = {"node": node, "port": http_port, "uri": model_uri, **parameters}
    return Command([sys.executable, "-I", "-S", str(SERVER), json.dumps(settings)])
