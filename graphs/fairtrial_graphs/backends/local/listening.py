"""A process that listens on ports of this machine: started, found ready, started again."""

from __future__ import annotations

import http.client
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairtrial_graphs.backends.interface import NotReady
from fairtrial_graphs.backends.local.ports import free_ports, is_free
from fairtrial_graphs.backends.local.process import GuardedProcess

_POLL = 0.03  # seconds
_ANSWER = 2.0
_BIND_ATTEMPTS = 3
_BIND = ("address already in use", "failed to bind", "errno 98", "errno 48")  # asyncio; gRPC; Linux, macOS


@dataclass(frozen=True)
class Ports:
    http: int
    grpc: int
    metrics: int

    @classmethod
    def free(cls) -> Ports:
        return cls(*free_ports(3))

    def are_free(self) -> bool:
        return all(is_free(port) for port in (self.http, self.grpc, self.metrics))


class ListeningProcess(ABC):
    """`what` is how messages call it, as in "predictor v1"; `its` the process, as in "its server"."""

    def __init__(self, what: str, its: str, predictor: str, folder: Path, log: Path) -> None:
        self.what = what
        self._its = its
        self._predictor = predictor
        self.folder = folder
        self._log = log
        self.ports = Ports.free()
        self.process: GuardedProcess | None = None

    @property
    def runs_in(self) -> Path:
        return self.folder

    @abstractmethod
    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        """What to start, and what to add to its environment. Its folder is there by then."""

    @abstractmethod
    def is_ready(self, within: float) -> bool:
        """Whether it would answer requests, and says so within some seconds."""

    def has_ended(self) -> bool:
        """Whether the process has ended, or has yet to be started."""
        return self.process is None or self.process.exit_code() is not None

    def start(self) -> None:
        """Start the process (again): on the same ports if they are still free, else on others."""
        if self.process is not None:
            self.process.stop()
        if not self.ports.are_free():
            self.ports = Ports.free()
        self.folder.mkdir(parents=True, exist_ok=True)
        argv, env = self.command()
        self.process = GuardedProcess(argv, env=env, folder=self.runs_in, log=self._log)

    def await_ready(self, timeout: float, cancelled: Callable[[], bool]) -> None:
        """Wait for a process that `start` began. Raises NotReady, quoting the log."""
        assert self.process is not None
        deadline = time.monotonic() + timeout
        attempts = 1
        while not self.is_ready(_ANSWER):
            if self.has_ended():
                taken = any(sign in self.process.printed().lower() for sign in _BIND)
                if not taken or attempts == _BIND_ATTEMPTS:
                    raise self._not_ready(f"its {self._its} {self.process.describe_exit()}")
                attempts += 1
                self.ports = Ports.free()
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

    def answers(self, path: str, within: float) -> bool:
        """Whether GET of this path gives 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports.http, timeout=within)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _not_ready(self, why: str) -> NotReady:
        assert self.process is not None
        message = (
            f"{self.what} is not ready: {why}. It last said: {self.process.last_words()} (log: {self._log})"
        )
        return NotReady(message, predictor=self._predictor)
