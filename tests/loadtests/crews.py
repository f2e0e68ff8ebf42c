"""Loads of several processes, for tests: what they are made of, and a network that fails them."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
from pathlib import Path

import msgpack
import psutil
import pyarrow as pa
import zmq
from fairtrial_loadtests.arrivals import Send
from fairtrial_loadtests.plan import LoadPlan
from fairtrial_loadtests.preparation import schedule_of
from loadtests.conftest import ROWS
from pyarrow import parquet


def observations(plan: LoadPlan) -> pa.Table:
    return pa.concat_tables(
        [parquet.ParquetFile(part).read() for part in sorted(plan.output.glob("part-*.parquet"))]
    )


def summary(plan: LoadPlan) -> dict:
    return json.loads((plan.output / "load.json").read_text())


def scheduled(plan: LoadPlan, arrivals: int) -> list[tuple[str, int]]:
    """Id and row of what one process sends for the first arrivals, in order of intended time."""
    names = {place: target.arm for place, target in enumerate(plan.targets)} | {-1: "split"}
    return [
        (f"{send.arrival}-{names[send.arm]}", send.row)
        for send in schedule_of(plan, ROWS).sends()
        if isinstance(send, Send) and send.arrival < arrivals
    ]


def recorded(table: pa.Table) -> list[tuple[str, int]]:
    return list(zip(table["id"].to_pylist(), table["row"].to_pylist(), strict=True))


def members_of(master: int) -> list[int]:
    """Process ids of the workers that a master has started."""
    return sorted(child.pid for child in psutil.Process(master).children())


class FailingNetwork:
    """A TCP relay to a port that cuts every connection when it is told to."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        self._open: list[socket.socket] = []
        self._ended = False
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        """What is under way is lost; who connects again is let through."""
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._ended = True
        self.cut()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
        for each in self._open:
            each.close()

    def _accept(self) -> None:
        while not self._ended:
            try:
                ours, _ = self._listener.accept()
            except OSError:
                continue
            try:
                theirs = socket.create_connection(("127.0.0.1", self._to))
            except OSError:  # nobody listens yet
                ours.close()
                continue
            self.connections += 1
            self._open += [ours, theirs]
            thread = threading.Thread(target=self._relay, args=(ours, theirs))
            self._threads.append(thread)
            thread.start()

    def _relay(self, ours: socket.socket, theirs: socket.socket) -> None:
        other = {ours: theirs, theirs: ours}
        with contextlib.suppress(OSError):
            while True:
                for ready in select.select([ours, theirs], [], [])[0]:
                    content = ready.recv(1 << 16)
                    if not content:
                        for each in other:
                            each.shutdown(socket.SHUT_RDWR)
                        return
                    other[ready].sendall(content)


def send_rubbish(port: int) -> None:
    """What somebody may send to a master who is no worker."""
    context = zmq.Context()
    with context.socket(zmq.DEALER) as stranger:
        stranger.setsockopt(zmq.IDENTITY, b"stranger")
        stranger.connect(f"tcp://127.0.0.1:{port}")
        for rubbish in (
            b"\x93\x01",  # half a message of Locust's
            b"\xc0",
            msgpack.dumps(["client_ready", 7, "stranger"]),
            msgpack.dumps(["spawning_complete", None, ["stranger"]]),
            msgpack.dumps(["fairtrial-here", None, "stranger"]),
            msgpack.dumps(["fairtrial-here", {"token": 1}, {}]),
            msgpack.dumps(["fairtrial-batch", {"session": "s", "number": 0}, "stranger"]),
        ):
            stranger.send(rubbish)
    context.term()  # once all of it has been sent


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def logs(folder: Path) -> str:
    return "\n".join(f"{log.name}: {log.read_text()}" for log in sorted(folder.glob("*.log")))
