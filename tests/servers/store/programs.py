"""Servers of others, as processes on free ports of this machine, and a proxy that breaks connections off."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

START_LIMIT = 100.0  # seconds; MLflow alone takes most of a minute on a busy machine


@contextmanager
def running(
    argv: Sequence[str],
    ready: Callable[[], bool],
    folder: Path,
    env: Mapping[str, str] | None = None,
    **how: object,
) -> Generator[subprocess.Popen[bytes]]:
    """A program, once `ready` says so; it and what it started are ended."""
    log = folder / "program.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(argv), cwd=folder, stdout=output, stderr=output, start_new_session=True,
            env={**os.environ, **(env or {})}, **how,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_LIMIT
        while not ready():
            over = process.poll() is not None or time.monotonic() > deadline
            assert not over, f"{argv[0]} did not start: {log.read_text()[-2000:]}"
            time.sleep(0.1)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def answers(port: int) -> Callable[[], bool]:
    """Whether somebody listens at a port."""

    def ready() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    return ready


class BreakingProxy:
    """Passes on to `port`, and closes each connection once `most` bytes have come back."""

    def __init__(self, port: int, most: int) -> None:
        self._target, self._most = port, most
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            threading.Thread(target=self._pass, args=(client, server, None), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, self._most), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket, most: int | None) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while content := source.recv(65536):
                if most is not None:
                    content = content[: most - passed]
                passed += len(content)
                sink.sendall(content)
                if most is not None and passed >= most:
                    break
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
