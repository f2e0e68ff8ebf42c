"""The model server of one predictor: started, found ready, started again."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fairtrial_graphs.backends.interface import Launcher, NotReady
from fairtrial_graphs.backends.local.envoy_config import Upstream
from fairtrial_graphs.backends.local.ports import free_ports, is_free
from fairtrial_graphs.backends.local.process import GuardedProcess
from fairtrial_graphs.backends.local.reading import ModelSpec

_POLL = 0.03  # seconds
_BIND_ATTEMPTS = 3
_BIND = ("address already in use", "failed to bind")  # uvicorn and asyncio; gRPC


@dataclass(frozen=True)
class _Ports:
    http: int
    grpc: int
    metrics: int

    @classmethod
    def free(cls) -> _Ports:
        return cls(*free_ports(3))

    def are_free(self) -> bool:
        return all(is_free(port) for port in (self.http, self.grpc, self.metrics))


class PredictorServer:
    """One run of a predictor's model, and the process that serves it."""

    def __init__(self, spec: ModelSpec, cluster: str, launcher: Launcher, folder: Path) -> None:
        self.spec = spec
        self.cluster = cluster
        self._launcher = launcher
        self._folder = folder / "servers" / cluster
        self._log = folder / "logs" / f"{spec.predictor}.log"
        self._ports = _Ports.free()
        self.process: GuardedProcess | None = None

    @property
    def upstream(self) -> Upstream:
        return Upstream(self.cluster, self.spec.predictor, self.spec.node, self._ports.http, self._ports.grpc)

    @property
    def grpc(self) -> str:
        """host:port of the V2 gRPC service."""
        return f"127.0.0.1:{self._ports.grpc}"

    def start(self) -> None:
        """Start the process (again): on the same ports if they are still free, else on others."""
        if self.process is not None:
            self.process.stop()
        if not self._ports.are_free():
            self._ports = _Ports.free()
        self._folder.mkdir(parents=True, exist_ok=True)
        server = self._launcher(
            node=self.spec.node,
            implementation=self.spec.implementation,
            model_uri=self.spec.model_uri,
            http_port=self._ports.http,
            grpc_port=self._ports.grpc,
            metrics_port=self._ports.metrics,
            parameters=self.spec.parameters,
            folder=str(self._folder),
        )
        env = {**server.env, **self.spec.env}
        self.process = GuardedProcess(server.argv, env=env, folder=self._folder, log=self._log)

    def is_ready(self) -> bool:
        """Whether the server says that it would answer inference requests for this model."""
        connection = http.client.HTTPConnection("127.0.0.1", self._ports.http, timeout=2.0)
        try:
            connection.request("GET", f"/v2/models/{self.spec.node}/ready")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def await_ready(self, timeout: float, cancelled: Callable[[], bool]) -> None:
        """Wait for a process that `start` began. Raises NotReady, quoting the log."""
        assert self.process is not None
        deadline = time.monotonic() + timeout
        attempts = 1
        while not self.is_ready():
            if self.process.exit_code() is not None:
                taken = any(sign in self.process.printed().lower() for sign in _BIND)
                if not taken or attempts == _BIND_ATTEMPTS:
                    raise self._not_ready(f"its server {self.process.describe_exit()}")
                attempts += 1
                self._ports = _Ports.free()
                self.start()
            elif cancelled():
                raise self._not_ready("it was being closed")
            elif time.monotonic() > deadline:
                raise self._not_ready(f"it was not ready after {timeout:g} s")
            time.sleep(_POLL)

    def ask_to_stop(self) -> None:
        if self.process is not None:
            self.process.ask_to_stop()

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    def _not_ready(self, why: str) -> NotReady:
        assert self.process is not None
        message = (
            f"predictor {self.spec.predictor} is not ready: {why}. "
            f"It last said: {self.process.last_words()} (log: {self._log})"
        )
        return NotReady(message, predictor=self.spec.predictor)
