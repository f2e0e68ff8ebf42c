"""What the collector takes: events a second, each acknowledged once it is durable, and none lost by a kill.

    uv run benchmarks/collector.py [--store postgresql://USER@HOST/NAME]

A producer in a process of its own posts requests and responses as Seldon's request logger does, over many
connections; half way through the collector is killed with SIGKILL and started again, and what was not
acknowledged is posted again, as is one event in fifty that was. At the end everything is read back: every
exchange must be there, once, with its own latency. Collector and producer share the machine. Ends with 1 if
fewer than 5,000 events a second are acknowledged while it runs, or one exchange is miscounted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter, deque
from pathlib import Path

import psutil
import pyarrow as pa

BAR = 5_000.0
CONNECTIONS = 400
DEPLOYMENT = "bench/wine"
AGAIN = 50  # of so many events one is posted twice
REQUEST = (
    b'{"id":"u","parameters":{"customer":"c7"},'
    b'"inputs":[{"name":"x","shape":[1,4],"datatype":"FP64","data":[1,2,3,4]}]}'
)
RESPONSE = (
    b'{"model_name":"v1","outputs":[{"name":"predict","shape":[1],"datatype":"INT64","data":[3]}],"id":"u"}'
)


def post(number: int, started: int) -> bytes:
    """Event by its number: exchange number // 2, its request or its response."""
    exchange, is_response = divmod(number, 2)
    body = RESPONSE if is_response else REQUEST
    # The latency is the exchange's own, so that halves that were mixed up show.
    micros = started + exchange * 400 + (is_response and 1_000 + exchange % 5_000)
    seconds, rest = divmod(micros, 1_000_000)
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return (
        f"POST /?unit=customer HTTP/1.1\r\nHost: collector\r\nUser-Agent: Go-http-client/1.1\r\n"
        f"Content-Length: {len(body)}\r\nCe-Endpoint: v{1 + exchange % 2}\r\nCe-Id: {number:032x}\r\n"
        f"Ce-Inferenceservicename: wine\r\nCe-Modelid: wine\r\nCe-Namespace: bench\r\n"
        f"Ce-Requestid: {exchange:08x}-5c1f-4a6e-9f0a-2b7d1f3c9e55\r\nCe-Source: http://localhost:8000/\r\n"
        f"Ce-Specversion: 1.0\r\nCe-Time: {moment}.{rest:06d}000Z\r\n"
        f"Ce-Type: io.seldon.serving.inference.{'response' if is_response else 'request'}\r\n"
        f"Content-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n"
    ).encode() + body


class Producer:
    """Posts events 0, 1, ... each connection one at a time, until `seconds` are over."""

    def __init__(self, port: int, seconds: float) -> None:
        self.port, self.seconds = port, seconds
        self.started = int((time.time() - 3000) * 1e6)
        self.next = 0
        self.acknowledged: Counter[int] = Counter()
        self.statuses: Counter[int] = Counter()
        self.retry: deque[int] = deque()
        self.over = False

    async def run(self) -> None:
        asyncio.get_running_loop().call_later(self.seconds, self._end)
        await asyncio.gather(*(self._post_on() for _ in range(CONNECTIONS)))

    def _end(self) -> None:
        self.over = True
        if self.next % 2:  # whole exchanges
            self.retry.append(self.next)
            self.next += 1

    def _take(self) -> int | None:
        if self.retry:
            return self.retry.popleft()
        if self.over:
            return None
        self.next += 1
        return self.next - 1

    async def _post_on(self) -> None:
        number: int | None = None
        while True:
            writer = None
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                while True:
                    number = self._take()
                    if number is None:
                        return
                    writer.write(post(number, self.started))
                    head = await reader.readuntil(b"\r\n\r\n")
                    await self._note(number, int(head[9:12]), head, reader)
                    number = None
            except (OSError, asyncio.IncompleteReadError):
                if number is not None:
                    self.retry.append(number)  # nobody knows whether it was taken
                    number = None
                await asyncio.sleep(0.05)
            finally:
                if writer is not None:
                    writer.close()

    async def _note(self, number: int, status: int, head: bytes, reader: asyncio.StreamReader) -> None:
        self.statuses[status] += 1
        length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
        if length:
            await reader.readexactly(length)
        if status != 202:
            self.retry.append(number)
            await asyncio.sleep(0.05)
            return
        self.acknowledged[number] += 1
        if number % AGAIN == 0 and self.acknowledged[number] == 1:
            self.retry.append(number)


def produce(port: int, seconds: float, told: object) -> None:
    producer = Producer(port, seconds)
    began = time.monotonic()
    asyncio.run(producer.run())
    told.send(  # type: ignore[attr-defined]
        {
            "seconds": time.monotonic() - began,
            "events": sum(producer.acknowledged.values()),
            "exchanges": producer.next // 2,
            "missing": producer.next - len(producer.acknowledged),
            "statuses": dict(producer.statuses),
        }
    )


class Collector:
    """The collector as a process, which is killed and started again at the same port."""

    def __init__(self, store: str, folder: Path) -> None:
        self.store, self.folder = store, folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.cpu = 0.0
        self.start()

    def start(self) -> None:
        with (self.folder / "collector.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "fairtrial", "collect", "--port", str(self.port),
                    "--store", self.store, "--output", "json",
                ],
                stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.folder / "collector.log").read_text()

    def end(self, number: signal.Signals) -> float:
        """Returns the seconds of CPU that it took."""
        times = psutil.Process(self.process.pid).cpu_times()
        self.process.send_signal(number)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return times.user + times.system

    def read_all(self) -> pa.Table:
        tables, after = [], 0
        while True:
            url = f"http://127.0.0.1:{self.port}/observations?deployment={DEPLOYMENT}&grace=0&limit=20000"
            with urllib.request.urlopen(f"{url}&after={after}", timeout=60) as answer:
                table = pa.ipc.open_stream(answer.read()).read_all()
                after = int(answer.headers["x-fairtrial-cursor"])
            if not table.num_rows:
                return pa.concat_tables(tables)
            tables.append(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--store", help="the database; a new file of SQLite unless said")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--no-kill", action="store_true", help="let it run, and kill nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = arguments.store or f"sqlite:///{folder}/evidence.db"
        collector = Collector(store, Path(folder))
        ours, theirs = multiprocessing.Pipe(duplex=False)
        producer = multiprocessing.Process(target=produce, args=(collector.port, arguments.seconds, theirs))
        producer.start()
        down = cpu = 0.0
        if not arguments.no_kill:
            time.sleep(arguments.seconds / 2)
            killed = time.monotonic()
            cpu = collector.end(signal.SIGKILL)
            collector.start()
            down = time.monotonic() - killed
        told = ours.recv()
        producer.join()
        table = collector.read_all()
        cpu += collector.end(signal.SIGTERM)
    exchanges = told["exchanges"]
    ids = table.column("id").to_pylist()
    numbers = [int(each.partition("-")[0], 16) for each in ids]
    wrong = sum(
        round(latency * 1e6) != 1_000 + number % 5_000
        for number, latency in zip(numbers, table.column("latency").to_pylist(), strict=True)
    )
    lost = exchanges - len(set(numbers))
    double = len(numbers) - len(set(numbers))
    rate = told["events"] / (told["seconds"] - down)
    print(
        json.dumps(
            {
                "eventsPerSecond": round(rate),
                "secondsDown": round(down, 2),
                "cpuMicrosecondsPerEvent": round(cpu / told["events"] * 1e6),
                **told,
                "lost": lost,
                "double": double,
                "wrongLatency": wrong,
            },
            indent=2,
        )
    )
    exact = not (lost or double or wrong or told["missing"])
    print(
        f"{rate:,.0f} events a second; the bar is {BAR:,.0f}. {'All' if exact else 'NOT all'} counted once."
    )
    return 0 if rate >= BAR and exact else 1


if __name__ == "__main__":
    sys.exit(main())
