"""What serves one predictor: its replicas, and which of them take requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fairtrial_graphs.backends.interface import Launcher
from fairtrial_graphs.backends.local.envoy_config import Upstream
from fairtrial_graphs.backends.local.executor.graph import NodePorts
from fairtrial_graphs.backends.local.listening import ListeningProcess, Ports
from fairtrial_graphs.backends.local.model import ExecutorProcess, ModelProcess, StandInProcess
from fairtrial_graphs.backends.local.specs import ModelSpec, PredictorSpec, StandInSpec

_LOOK = 0.2  # seconds for an answer of a replica that gets ready, while nothing else is looked after


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
        files, logs = folder / "servers" / cluster, folder / "logs"
        if spec.replicas == 1:
            self._replicas = [_Replica(spec, "", launcher, files, logs)]
        else:
            self._replicas = [
                _Replica(spec, f"replica {number} of ", launcher, files / name, logs / name)
                for number, name in ((n, f"replica-{n}") for n in range(1, spec.replicas + 1))
            ]

    @property
    def upstream(self) -> Upstream:
        """Where requests are to go: to the replicas that take them, or, if none does, to all."""
        ports = [replica.ports for replica in self._replicas if replica.in_service]
        ports = ports or [replica.ports for replica in self._replicas]
        grpc = tuple(each.grpc for each in ports)
        return Upstream(
            self.cluster, self.spec.predictor, self.spec.root, tuple(each.http for each in ports), grpc
        )

    @property
    def parts(self) -> Sequence[Part]:
        return [part for replica in self._replicas for part in replica.parts]

    def start(self) -> None:
        for replica in self._replicas:
            replica.start()

    def await_ready(self, timeout: float, cancelled: Callable[[], bool]) -> None:
        """Wait for what `start` began; each process may take `timeout` seconds. Raises NotReady."""
        for replica in self._replicas:
            replica.await_ready(timeout, cancelled)

    def look(self) -> None:
        """See which replicas take requests: one that has died does not, until it is ready again."""
        for replica in self._replicas:
            replica.look()

    def ask_to_stop(self) -> None:
        for replica in self._replicas:
            replica.ask_to_stop()

    def stop(self) -> None:
        self.ask_to_stop()
        for replica in self._replicas:
            replica.stop()


class _Replica:
    """A server for each of the predictor's nodes, and the executor of its graph, if it has one."""

    def __init__(self, spec: PredictorSpec, which: str, launcher: Launcher, folder: Path, logs: Path) -> None:
        self._spec = spec
        self._which = which  # of several, as messages put it
        self._folder = folder
        self._logs = logs
        self._nodes = {server.node: self._process(server, launcher) for server in spec.servers}
        self._executor: ExecutorProcess | None = None
        if spec.graph is not None:
            what = f"the executor of {which}{spec.predictor}"
            log = logs / f"{spec.predictor}.log"
            self._executor = ExecutorProcess(what, spec.graph, self._node_ports, folder, log)
        self.in_service = False

    @property
    def ports(self) -> Ports:
        return self._front.ports

    @property
    def parts(self) -> Sequence[Part]:
        parts = [
            Part(self._called(node), node, partial(self._restart, node)) for node in self._nodes.values()
        ]
        if self._executor is None:
            return parts
        return [*parts, Part(self._executor.what, self._executor, self._executor.start)]

    def start(self) -> None:
        for process in self._processes:
            process.start()

    def await_ready(self, timeout: float, cancelled: Callable[[], bool]) -> None:
        told = self._node_ports()
        for node in self._nodes.values():
            node.await_ready(timeout, cancelled)
        if self._executor is not None:
            if self._node_ports() != told:
                self._executor.start()
            self._executor.await_ready(timeout, cancelled)
        self.in_service = True

    def look(self) -> None:
        if self._spec.replicas == 1:
            return  # there is none that could take its requests
        if any(process.has_ended() for process in self._processes):
            self.in_service = False
        elif not self.in_service:
            self.in_service = all(process.is_ready(_LOOK) for process in self._processes)

    def ask_to_stop(self) -> None:
        for process in self._processes:
            process.ask_to_stop()

    def stop(self) -> None:
        for process in self._processes:
            process.stop()

    @property
    def _front(self) -> ListeningProcess:
        return self._executor or next(iter(self._nodes.values()))

    @property
    def _processes(self) -> Sequence[ListeningProcess]:
        return [*self._nodes.values(), *([self._executor] if self._executor else [])]

    def _called(self, node: ListeningProcess) -> str:
        if self._executor is not None:
            return node.what
        return f"the model server of {self._which}{self._spec.predictor}"

    def _node_ports(self) -> dict[str, NodePorts]:
        return {name: (node.ports.http, node.ports.grpc) for name, node in self._nodes.items()}

    def _restart(self, node: ListeningProcess) -> None:
        at = node.ports
        node.start()
        if self._executor is not None and node.ports != at:
            self._executor.start()

    def _process(self, spec: ModelSpec | StandInSpec, launcher: Launcher) -> ListeningProcess:
        whole = f"{self._which}predictor {spec.predictor}"
        if self._spec.graph is None:
            what, folder, log = whole, self._folder, f"{spec.predictor}.log"
        else:
            what, folder = f"node {spec.node} of {whole}", self._folder / spec.node
            log = f"{spec.predictor}.{spec.node}.log"
        if isinstance(spec, ModelSpec):
            return ModelProcess(what, spec, launcher, folder, self._logs / log)
        return StandInProcess(what, spec, folder, self._logs / log)
