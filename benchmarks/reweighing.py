"""How soon a change of weights holds under load, and what it costs.

    uv run benchmarks/reweighing.py

Two servers that answer at once, one Envoy, and requests on a schedule of their own (1,000 a second), whatever
the answers. The weights change every half second. Counted: failed requests, and for each change the time from
the call that asks for it to the last request that was still drawn by the old weights. Ends with 1 if a bar is
missed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fairtrial_graphs.backends.interface import Route, Serving
from fairtrial_graphs.backends.local import LocalBackend
from fairtrial_graphs.build import Arm, build, with_weights

BAR = 0.100  # seconds
SERVER = """
import asyncio, sys
class Http(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data):
        self.transport.write(b"HTTP/1.1 200 .\\r\\ncontent-length: 2\\r\\n\\r\\n{}")
async def main():
    server = await asyncio.get_running_loop().create_server(Http, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()
asyncio.run(main())
"""
REQUEST = b"POST /v2/models/m/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"


@dataclass(frozen=True)
class Command:
    argv: list[str]
    env: Mapping[str, str] = field(default_factory=dict[str, str])


def launch(*, http_port: int, **_: object) -> Command:
    return Command([sys.executable, "-I", "-S", "-c", SERVER, str(http_port)])


@dataclass
class Load:
    """Answers as (sent, revision), both of the monotonic clock; revision None: failed."""

    url: str
    rate: float
    callers: int
    answers: list[tuple[float, str | None]] = field(default_factory=list[tuple[float, str | None]])
    stopped: bool = False

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        begun = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(self.callers):
                tasks.create_task(self._call(begun + number / self.rate))

    async def _call(self, due: float) -> None:
        parts = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while not self.stopped:
            await asyncio.sleep(due - time.monotonic())
            due += self.callers / self.rate
            sent = time.monotonic()
            try:
                writer.write(REQUEST)
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                await reader.readexactly(2)
            except (OSError, asyncio.IncompleteReadError):
                self.answers.append((sent, None))
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
                continue
            good = head.startswith("http/1.1 200")
            self.answers.append((sent, _header(head, "x-fairtrial-revision") if good else None))
        writer.close()


def _header(head: str, name: str) -> str | None:
    return next((line.partition(": ")[2] for line in head.split("\r\n") if line.startswith(name)), None)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=1_000, help="requests a second")
    parser.add_argument("--changes", type=int, default=20)
    options = parser.parse_args()
    deployment = build("d", [Arm("v1", "m", "I"), Arm("v2", "m", "I")], {"v1": 90, "v2": 10})
    with tempfile.TemporaryDirectory() as folder, LocalBackend(Path(folder), launch) as backend:
        serving: Serving = backend.apply(deployment, Route("0"), lambda _: None)
        load = Load(serving.url, options.rate, 32)
        thread = threading.Thread(target=load.run)
        thread.start()
        asked: list[float] = []
        with contextlib.ExitStack() as stack:
            stack.callback(thread.join)
            stack.callback(setattr, load, "stopped", True)
            for number in range(1, options.changes + 1):
                time.sleep(0.5)
                weight = 10 if number % 2 == 0 else 50
                asked.append(time.monotonic())
                changed = with_weights(deployment, {"v1": 100 - weight, "v2": weight})
                backend.apply(changed, Route(str(number)), lambda _: None)
            time.sleep(0.5)
    seconds = max(sent for sent, _ in load.answers) - min(sent for sent, _ in load.answers)
    failed = sum(revision is None for _, revision in load.answers)
    lags = [
        max((sent for sent, revision in load.answers if revision == str(number)), default=at) - at
        for number, at in enumerate(asked)
    ]
    print(f"{len(load.answers)} requests in {seconds:.1f} s, {failed} failed; {len(asked)} changes")
    median = sorted(lags)[len(lags) // 2]
    print(f"the new split holds after {1e3 * median:.1f} ms (median), {1e3 * max(lags):.1f} ms (worst)")
    good = failed == 0 and max(lags) <= BAR
    print(f"bar: none failed, {1e3 * BAR:.0f} ms: {'met' if good else 'MISSED'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
