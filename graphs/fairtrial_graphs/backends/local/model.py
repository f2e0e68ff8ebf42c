"""The processes that serve a predictor: a model server, or the servers of a graph's nodes and an executor."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fairtrial_graphs.backends.interface import Launcher
from fairtrial_graphs.backends.local.executor.graph import Graph, NodePorts
from fairtrial_graphs.backends.local.listening import ListeningProcess
from fairtrial_graphs.backends.local.specs import ModelSpec, StandInSpec


class ModelProcess(ListeningProcess):
    def __init__(self, what: str, spec: ModelSpec, launcher: Launcher, folder: Path, log: Path) -> None:
        super().__init__(what, "server", spec.predictor, folder, log)
        self._spec = spec
        self._launcher = launcher

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        server = self._launcher(
            node=self._spec.node,
            implementation=self._spec.implementation,
            model_uri=self._spec.model_uri,
            http_port=self.ports.http,
            grpc_port=self.ports.grpc,
            metrics_port=self.ports.metrics,
            parameters=self._spec.parameters,
            folder=str(self.folder),
        )
        return server.argv, {**server.env, **self._spec.env}

    def is_ready(self, within: float) -> bool:
        """Whether the server says that it would answer inference requests for this model."""
        return self.answers(f"/v2/models/{self._spec.node}/ready", within)


class StandInProcess(ListeningProcess):
    def __init__(self, what: str, spec: StandInSpec, folder: Path, log: Path) -> None:
        super().__init__(what, "stand-in", spec.predictor, folder, log)
        self._spec = spec

    @property
    def runs_in(self) -> Path:
        """Where the user is: that is where paths in the command start."""
        return Path.cwd()

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        http, grpc = str(self.ports.http), str(self.ports.grpc)
        ports = {
            "PREDICTIVE_UNIT_SERVICE_PORT": http,
            "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": http,
            "PREDICTIVE_UNIT_GRPC_SERVICE_PORT": grpc,
            "PREDICTIVE_UNIT_METRICS_SERVICE_PORT": str(self.ports.metrics),
            "MLSERVER_HTTP_PORT": http,
            "MLSERVER_GRPC_PORT": grpc,
            "MLSERVER_METRICS_PORT": str(self.ports.metrics),
        }
        return self._spec.command, {**self._spec.env, **ports}

    def is_ready(self, within: float) -> bool:
        """Whether it listens: all that Seldon Core's own probe of such a container asks."""
        try:
            with socket.create_connection(("127.0.0.1", self.ports.http), timeout=within):
                return True
        except OSError:
            return False


class ExecutorProcess(ListeningProcess):
    def __init__(
        self, what: str, graph: Graph, ports: Callable[[], Mapping[str, NodePorts]], folder: Path, log: Path
    ) -> None:
        """`ports` tells where each node's server listens now."""
        super().__init__(what, "process", graph.predictor, folder, log)
        self._graph = graph
        self._node_ports = ports

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        file = self.folder / "graph.json"
        file.write_text(json.dumps(self._graph.at(self._node_ports()).to_dict()), encoding="utf-8")
        module = "fairtrial_graphs.backends.local.executor"
        return [sys.executable, "-m", module, str(file), str(self.ports.http), str(self.ports.grpc)], {}

    def is_ready(self, within: float) -> bool:
        """Whether it listens, and each of its nodes does."""
        return self.answers("/ready", within)
