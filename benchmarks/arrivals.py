"""How well a load keeps its schedule, and what a request costs it: 1,000 a second from one core.

    uv run benchmarks/arrivals.py

A small V2 server has one core, what loads it the other. At the stated rate: how far the sends are behind
the schedule, and the Kolmogorov-Smirnov distance of the gaps between them from the exponential distribution.
Then, in turn: plain Locust FastHttpUsers that ask as fast as they can, and the load process at the rate that
they reached; how many requests a core could send is the inverse of the CPU time of one. Ends with 1 if a bar
is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from fairtrial_loadtests.client import LoadProcess
from fairtrial_loadtests.plan import Arrivals, LoadPlan, Requests, Target
from pyarrow import parquet
from scipy import stats

LAG_BAR = 0.6  # ms at the median: as well as a loop that sleeps in whole milliseconds can do
DISTANCE_BAR = 0.1  # a Poisson process of 1,000/s rounded to whole milliseconds is at 0.37
COST_BAR = 1.0  # requests a core, over those of FastHttpUser
FEATURES = 64

METADATA = {"inputs": [{"name": "predict", "datatype": "FP64", "shape": [-1, FEATURES]}]}
ANSWER = {
    "outputs": [{"name": "predict", "datatype": "INT64", "shape": [1], "data": [3]}],
    "model_name": "v1",
}

# Run in a process of its own, for Locust patches the one it runs in.
FAST_HTTP_USER = """
import json, sys, time
import gevent
from locust import FastHttpUser, task
from locust.env import Environment
url, seconds, features = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
row = {"name": "predict", "shape": [1, features], "datatype": "FP64", "data": [3.0] * features}
kind, body = "application/json", json.dumps({"inputs": [row]}).encode()
class Asking(FastHttpUser):
    host = url
    @task
    def ask(self):
        answer = self.client.post("/v2/models/v1/infer", data=body, headers={"Content-Type": kind})
        json.loads(answer.content)["outputs"][0]["data"][0]
environment = Environment(user_classes=[Asking])
runner = environment.create_local_runner()
runner.start(10, spawn_rate=10)
gevent.sleep(1.0)
total = environment.stats.total
requests, cpu = total.num_requests, time.process_time()
gevent.sleep(seconds)
requests, cpu = total.num_requests - requests, time.process_time() - cpu
assert not total.num_failures, total.num_failures
runner.quit()
print(json.dumps({"requests": requests, "cpu": cpu}))
"""


class V2Server(asyncio.Protocol):
    """Answers as fast as Python can."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (head := self.received.find(b"\r\n\r\n")) >= 0:
            lines = self.received[:head].lower().split(b"\r\n")
            length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
            if len(self.received) < head + 4 + length:
                return
            self.received = self.received[head + 4 + length :]
            body = json.dumps(ANSWER if lines[0].startswith(b"post") else METADATA).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(V2Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def v2_server(core: int) -> Iterator[str]:
    """A server in a process of its own; gives its URL."""
    process = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        pin(process.pid, core)
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def pin(pid: int, core: int) -> None:
    """Keep a process on one core, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        available = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(pid, {available[core % len(available)]})


def open_load(url: str, rate: float, seconds: float, folder: Path) -> tuple[pa.Table, float]:
    """One load by the load process: its observations, and CPU seconds a request."""
    folder.mkdir()
    rows = np.random.default_rng(0).integers(0, 17, (500, FEATURES))
    data = folder / "rows.parquet"
    parquet.write_table(pa.table({f"p{i}": rows[:, i] for i in range(FEATURES)} | {"y": rows[:, 0]}), data)
    plan = LoadPlan(
        targets=(Target("v1", url, "v1"),),
        split=None,
        arrivals=Arrivals(rate, "poisson", seconds),
        requests=Requests(data, target="y"),
        output=folder / "observations",
        seed=1,
    )
    load = LoadProcess(plan, folder)
    load.start()
    pin(load.pid, 0)
    while load.alive:
        time.sleep(0.1)
    if load.returncode != 0:
        raise SystemExit(load.error)
    told = json.loads((plan.output / "load.json").read_text())
    if told["failures"]:
        raise SystemExit(f"{told['failures']} of {told['requests']} requests failed: no figure can be told.")
    table = pa.concat_tables([parquet.ParquetFile(part).read() for part in load.poll()])
    return table, told["cpuSeconds"] / told["requests"]


def fast_http_users(url: str, seconds: float) -> tuple[float, float]:
    """Requests a second that ten FastHttpUsers reach on one core, and CPU seconds a request."""
    arguments = [url, str(seconds), str(FEATURES)]
    process = subprocess.Popen([sys.executable, "-c", FAST_HTTP_USER, *arguments], stdout=subprocess.PIPE)
    pin(process.pid, 0)
    said, _ = process.communicate()
    if process.returncode != 0:
        raise SystemExit("FastHttpUser failed.")
    told = json.loads(said)
    return told["requests"] / seconds, told["cpu"] / told["requests"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rate", type=float, default=1000.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
    lags: list[float] = []
    distances: list[float] = []
    ours: list[float] = []
    theirs: list[float] = []
    with v2_server(core=1) as url, tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            table, _ = open_load(url, options.rate, options.seconds, Path(folder) / f"{number}")
            sent = table["sent"].to_numpy()
            lags += ((sent - table["time"].to_numpy()) * 1000).tolist()
            gaps = np.diff(np.sort(sent))
            distances.append(float(stats.kstest(gaps, "expon", args=(0, 1 / options.rate)).statistic))
            reached, cost = fast_http_users(url, options.seconds)
            theirs.append(cost)
            ours.append(open_load(url, reached, options.seconds, Path(folder) / f"{number}-fast")[1])
    return report(lags, distances, ours, theirs)


def report(lags: list[float], distances: list[float], ours: list[float], theirs: list[float]) -> int:
    p50, p99 = np.percentile(lags, [50, 99])
    ratio = statistics.median(their / our for our, their in zip(ours, theirs, strict=True))
    print(f"behind the schedule, ms: p50 {p50:.3f}, p99 {p99:.3f} ({len(lags)} requests)")
    for name, costs in (("the load process", ours), ("FastHttpUser", theirs)):
        cost = statistics.median(costs)
        print(f"{name}: {1e6 * cost:.0f} us of CPU a request, {1 / cost:.0f} requests a core")
    good = [
        verdict(f"lag at p50: {p50:.3f} ms", f"at most {LAG_BAR}", p50 <= LAG_BAR),
        verdict(
            f"KS distance of the gaps: {statistics.median(distances):.4f} (median of the rounds)",
            f"at most {DISTANCE_BAR}",
            statistics.median(distances) <= DISTANCE_BAR,
        ),
        verdict(f"requests a core, relative: {ratio:.2f}", f"at least {COST_BAR}", ratio >= COST_BAR),
    ]
    return 0 if all(good) else 1


def verdict(what: str, bar: str, good: bool) -> bool:
    print(f"{what}; bar {bar}: {'met' if good else 'MISSED'}")
    return good


if __name__ == "__main__":
    sys.exit(main())
