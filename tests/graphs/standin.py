"""Starts stand-in model servers (`standin_server.py`), as a backend's launcher."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from fairtrial_graphs.backends.interface import ModelServer

SERVER = Path(__file__).with_name("standin_server.py")


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
) -> ModelServer:
    settings = {"node": node, "port": http_port, "uri": model_uri, **parameters}
    return ModelServer([sys.executable, "-I", "-S", str(SERVER), json.dumps(settings)])
