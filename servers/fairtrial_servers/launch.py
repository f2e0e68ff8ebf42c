"""How to start one model server: the settings MLServer reads, and the command that runs it."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fairtrial_servers.errors import ServerError
from fairtrial_servers.formats import FORMATS
from fairtrial_servers.store.schemes import scheme


@dataclass(frozen=True)
class Command:
    """An argument vector, and what to add to the environment."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict[str, str])


def model_server(
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
    """Write the settings of one model server to `folder` and say how to start it. Starts nothing.

    `node` is the V2 model name. A relative path in `model_uri` starts at the current folder.
    Raises ServerError for an implementation that is not known or not installed.
    """
    runtime = resolve(implementation)
    uri = model_uri if scheme(model_uri) else str(Path(model_uri).expanduser().absolute())
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    _write(home / "settings.json", server_settings(http_port, grpc_port, metrics_port))
    model = {
        "name": node,
        "implementation": runtime,
        "parameters": {"uri": uri, "extra": dict(parameters)},
    }
    _write(home / "model-settings.json", model)
    return Command([sys.executable, "-m", "fairtrial_servers.serve", str(home)])


def server_settings(http_port: int, grpc_port: int, metrics_port: int) -> dict[str, object]:
    """MLServer's settings for an arm: a small and even cost for each request, local callers only."""
    return {
        "debug": False,  # otherwise tracebacks are sent to clients
        "host": "127.0.0.1",
        "http_port": http_port,
        "grpc_port": grpc_port,
        "metrics_port": metrics_port,
        "parallel_workers": 0,  # a worker process doubles the cost of a small request
        "gzip_enabled": False,
        "kafka_enabled": False,
        "cache_enabled": False,  # an answer from a cache says nothing about the model
    }


def resolve(implementation: str) -> str:
    """The MLServer runtime that an `implementation` of a SeldonDeployment stands for.

    Raises ServerError for a name that is not known, or a runtime that is not installed.
    """
    for known in FORMATS:
        if implementation in (*known.servers, known.implementation):
            for module in known.needs:
                if importlib.util.find_spec(module) is None:
                    raise ServerError(
                        f"a model of the format {known.name} is served by {module}, which is not installed: "
                        f'pip install "fairtrial-servers[{known.name}]"'
                    )
            return known.implementation
    if "." in implementation:
        return _installed(implementation)
    names = ", ".join(name for known in FORMATS for name in (*known.servers, known.implementation))
    raise ServerError(
        f"unknown implementation {implementation!r}: known are {names}, and any MLServer runtime "
        f"by its class, such as mlserver_sklearn.SKLearnModel"
    )


def _installed(implementation: str) -> str:
    module = implementation.rpartition(".")[0]
    try:
        found = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        raise ServerError(
            f"implementation {implementation}: there is no module {module} here; "
            f"install the package that has it"
        )
    return implementation


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
