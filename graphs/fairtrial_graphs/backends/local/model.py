"""What serves one predictor: a model server, or the servers of a graph's nodes and an executor."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fairtrial_graphs.backends.interface import Launcher
from fairtrial_graphs.backends.local.envoy_config import Upstream
from fairtrial_graphs.backends.local.executor.graph import Graph, NodePorts
from fairtrial_graphs.backends.local.listening import ListeningProcess
from fairtrial_graphs.backends.local.specs import ModelSpec, PredictorSpec, StandInSpec

_CONNECT = 1.0  # seconds


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

    def is_ready(self) -> bool:
        """Whether the server says that it would answer inference requests for this model."""
        return self.answers(f"/v2/models/{self._spec.node}/ready")


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

    def is_ready(self) -> bool:
        """Whether it listens: all that Seldon Core's own probe of such a container asks."""
        try:
            with socket.create_connection(("127.0.0.1", self.ports.http), timeout=_CONNECT):
                return True
        except OSError:
            return False


class ExecutorProcess(ListeningProcess):
    def __init__(
        self, graph: Graph, ports: Callable[[], Mapping[str, NodePorts]], folder: Path, log: Path
    ) -> None:
        """`ports` tells where each node's server listens now."""
        super().__init__(f"the executor of {graph.predictor}", "process", graph.predictor, folder, log)
        self._graph = graph
        self._node_ports = ports

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        file = self.folder / "graph.json"
        file.write_text(json.dumps(self._graph.at(self._node_ports()).to_dict()), encoding="utf-8")
        module = "fairtrial_graphs.backends.local.executor"
        return [sys.executable, "-m", module, str(file), str(self.ports.http), str(self.ports.grpc)], {}

    def is_ready(self) -> bool:
        """Whether it listens, and each of its nodes does."""
        return self.answers("/ready")


@dataclass(frozen=True)
class Part:
    """One process of a predictor, for whoever starts again what dies."""

    what: str  # how messages call it
    process: ListeningProcess
    restart: Callable[[], None]


class PredictorServer:
    """One run of a predictor, and the processes that serve it."""

    def __init__(self, spec: PredictorSpec, cluster: str, launcher: Launcher, folder: Path) -> None:
        self.spec = spec
        self.cluster = cluster
        self._files = folder / "servers" / cluster
        self._logs = folder / "logs"
        self._nodes = {server.node: self._process(server, launcher) for server in spec.servers}
        self._executor: ExecutorProcess | None = None
        if spec.graph is not None:
            self._executor = ExecutorProcess(
                spec.graph, self._ports, self._files, self._logs / f"{spec.predictor}.log"
            )

    @property
    def upstream(self) -> Upstream:
        ports = self._front.ports
        return Upstream(self.cluster, self.spec.predictor, self.spec.root, ports.http, ports.grpc)

    @property
    def grpc(self) -> str:
        """host:port of the gRPC service: V2's, or Seldon's if that is the graph's protocol."""
        return f"127.0.0.1:{self._front.ports.grpc}"

    @property
    def parts(self) -> Sequence[Part]:
        nodes = [
            Part(node.what if self._executor else f"the model server of {self.spec.predictor}", node, restart)
            for node, restart in ((node, partial(self._restart, node)) for node in self._nodes.values())
        ]
        if self._executor is None:
            return nodes
        return [*nodes, Part(self._executor.what, self._executor, self._executor.start)]

    def start(self) -> None:
        for process in self._processes:
            process.start()

    def await_ready(self, timeout: float, cancelled: Callable[[], bool]) -> None:
        """Wait for what `start` began; each process may take `timeout` seconds. Raises NotReady."""
        told = self._ports()
        for node in self._nodes.values():
            node.await_ready(timeout, cancelled)
        if self._executor is not None:
            if self._ports() != told:
                self._executor.start()
            self._executor.await_ready(timeout, cancelled)

    def ask_to_stop(self) -> None:
        for process in self._processes:
            process.ask_to_stop()

    def stop(self) -> None:
        self.ask_to_stop()
        for process in self._processes:
            process.stop()

    @property
    def _front(self) -> ListeningProcess:
        return self._executor or next(iter(self._nodes.values()))

    @property
    def _processes(self) -> Sequence[ListeningProcess]:
        return [*self._nodes.values(), *([self._executor] if self._executor else [])]

    def _ports(self) -> dict[str, NodePorts]:
        return {name: (node.ports.http, node.ports.grpc) for name, node in self._nodes.items()}

    def _restart(self, node: ListeningProcess) -> None:
        at = node.ports
        node.start()
        if self._executor is not None and node.ports != at:
            self._executor.start()

    def _process(self, spec: ModelSpec | StandInSpec, launcher: Launcher) -> ListeningProcess:
        if self.spec.graph is None:
            what, folder, log = f"predictor {spec.predictor}", self._files, f"{spec.predictor}.log"
        else:
            what, log = f"node {spec.node} of predictor {spec.predictor}", f"{spec.predictor}.{spec.node}.log"
            folder = self._files / spec.node
        if isinstance(spec, ModelSpec):
            return ModelProcess(what, spec, launcher, folder, self._logs / log)
        return StandInProcess(what, spec, folder, self._logs / log)
