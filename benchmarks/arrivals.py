"""How well a load keeps its schedule, what it makes of a stall, and what a request costs it.

    uv run benchmarks/arrivals.py

A small V2 server has one core, what loads it the other.

- At 1,000 a second: how far the sends are behind the schedule, and the Kolmogorov-Smirnov distance of the
  gaps between them from the exponential distribution. Beside it, how late a process is woken that does
  nothing but sleep on the same core: what is the machine's fault and not the load's. `--alone` asks the
  system to run these before anything else (SCHED_FIFO, for root), so that neighbours are not measured.
- The server stands still for a second of ten, at 200 a second: the p99 that the load tells, and the one
  that plain Locust tells of FastHttpUsers with `constant_throughput`. A tenth of the arrivals meet the stall,
  so that the p99 of the users is 0.9 s.
- In turn: plain FastHttpUsers that ask as fast as they can, and the load process at the rate that they
  reached; how many requests a core could send is the inverse of the CPU time of one.

Ends with 1 if a bar is missed.
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
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from fairtrial_loadtests.client import LoadProcess
from fairtrial_loadtests.plan import Arrivals, LoadPlan, Requests, Target
from pyarrow import parquet
from scipy import stats

LAG_BAR = 2.0  # ms at p99
DISTANCE_BAR = 0.05  # a Poisson process of 1,000/s rounded to whole milliseconds is at 0.37
STALL_BAR = 0.8  # s at p99, of a stall of 1 s that a tenth of the arrivals meet
COST_BAR = 0.8  # requests a core, over those of FastHttpUser
STALLED_RATE, STALLED_SECONDS = 200.0, 10.0
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
from locust import FastHttpUser, constant_throughput, task
from locust.env import Environment
url, seconds, features, rate = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
row = {"name": "predict", "shape": [1, features], "datatype": "FP64", "data": [3.0] * features}
kind, body = "application/json", json.dumps({"inputs": [row]}).encode()
class Asking(FastHttpUser):
    host = url
    if rate:
        wait_time = constant_throughput(rate / 10)
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
p99 = total.get_response_time_percentile(0.99) / 1000
print(json.dumps({"requests": requests, "cpu": cpu, "p99": p99}))
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
            if lines[0].startswith(b"get /stall"):
                time.sleep(1.0)  # with everything that the server does
            body = json.dumps(ANSWER if lines[0].startswith(b"post") else METADATA).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(V2Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def v2_server(core: int, *, alone: bool) -> Iterator[str]:
    """A server in a process of its own; gives its URL."""
    process = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        pin(process.pid, core)
        if alone:
            run_before_others(process.pid)
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def pin(pid: int, core: int) -> None:
    """Keep a process on one core, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        available = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(pid, {available[core % len(available)]})


def run_before_others(pid: int) -> None:
    """Ask for real-time priorities, of a process's first thread before those of its others.

    Ends the program if refused.
    """
    try:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            for thread in map(int, os.listdir(f"/proc/{pid}/task")):
                os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(2 if thread == pid else 1))
    except PermissionError:
        raise SystemExit("--alone needs the right to set real-time priorities: run it as root.") from None


SLEEPER = """
import os, sys, time
rate, seconds = float(sys.argv[1]), float(sys.argv[2])
begun, lags = time.monotonic(), []
for i in range(1, int(rate * seconds)):
    time.sleep(max(begun + i / rate - time.monotonic(), 0))
    lags.append(time.monotonic() - begun - i / rate)
lags.sort()
print(lags[int(len(lags) * 0.99)])
"""


def sleeper(rate: float, seconds: float, *, alone: bool) -> float:
    """Seconds by which a process that only sleeps is late at p99, on the load's core."""
    arguments = [sys.executable, "-c", SLEEPER, str(rate), str(seconds)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE)
    pin(process.pid, 0)
    if alone:
        run_before_others(process.pid)
    said, _ = process.communicate()
    return float(said)


def open_load(
    url: str,
    rate: float,
    seconds: float,
    folder: Path,
    *,
    alone: bool = False,
    stall_after: float | None = None,
) -> tuple[pa.Table, float]:
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
    if alone:
        run_before_others(load.pid)
    while stall_after is not None and not list(plan.output.glob("part-*")):
        time.sleep(0.05)
    if stall_after is not None:
        stall(url, stall_after)
    while load.alive:
        if alone:
            run_before_others(load.pid)  # the threads that have come since, too
        time.sleep(0.1)
    if load.returncode != 0:
        raise SystemExit(load.error)
    told = json.loads((plan.output / "load.json").read_text())
    if told["failures"]:
        raise SystemExit(f"{told['failures']} of {told['requests']} requests failed: no figure can be told.")
    table = pa.concat_tables([parquet.ParquetFile(part).read() for part in load.poll()])
    return table, told["cpuSeconds"] / told["requests"]


def stall(url: str, after: float) -> None:
    time.sleep(after)
    urllib.request.urlopen(f"{url}/stall", timeout=10).close()


def fast_http_users(
    url: str, seconds: float, rate: float = 0.0, stall_after: float | None = None
) -> tuple[float, float, float]:
    """Requests a second that ten FastHttpUsers reach on one core, CPU seconds a request, and their p99.

    rate: what they are to keep to; 0: as many as they can.
    """
    arguments = [url, str(seconds), str(FEATURES), str(rate)]
    process = subprocess.Popen([sys.executable, "-c", FAST_HTTP_USER, *arguments], stdout=subprocess.PIPE)
    pin(process.pid, 0)
    if stall_after is not None:
        stall(url, stall_after)
    said, _ = process.communicate()
    if process.returncode != 0:
        raise SystemExit("FastHttpUser failed.")
    told = json.loads(said)
    return told["requests"] / seconds, told["cpu"] / told["requests"], told["p99"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rate", type=float, default=1000.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="before anything else that the machine does")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
    lags: list[Any] = []  # of each round, in ms
    distances: list[float] = []
    ours: list[float] = []
    theirs: list[float] = []
    woken: list[float] = []
    with v2_server(core=1, alone=options.alone) as url, tempfile.TemporaryDirectory() as folder:
        stalls = stalled_p99s(url, Path(folder))
        for number in range(options.rounds):
            woken.append(sleeper(options.rate, 2.0, alone=options.alone))
            table, _ = open_load(
                url, options.rate, options.seconds, Path(folder) / f"{number}", alone=options.alone
            )
            sent = table["sent"].to_numpy()
            lags.append((sent - table["time"].to_numpy()) * 1000)
            gaps = np.diff(np.sort(sent))
            distances.append(float(stats.kstest(gaps, "expon", args=(0, 1 / options.rate)).statistic))
            reached, cost, _ = fast_http_users(url, options.seconds)
            theirs.append(cost)
            ours.append(open_load(url, reached, options.seconds, Path(folder) / f"{number}-fast")[1])
    print(f"a process that only sleeps is woken late by {1000 * statistics.median(woken):.2f} ms at p99")
    return report(lags, distances, ours, theirs, stalls)


def stalled_p99s(url: str, folder: Path) -> tuple[float, float]:
    """The p99 in seconds that the load tells of a server that stalls for a second, and what Locust tells."""
    middle = STALLED_SECONDS / 2
    table, _ = open_load(url, STALLED_RATE, STALLED_SECONDS, folder / "stall", stall_after=middle - 1)
    _, _, plain = fast_http_users(url, STALLED_SECONDS, STALLED_RATE, stall_after=middle)
    return float(np.percentile(table["latency"].to_numpy(), 99)), plain


def report(
    lags: list[Any],
    distances: list[float],
    ours: list[float],
    theirs: list[float],
    stalls: tuple[float, float],
) -> int:
    p50, p99 = np.median([np.percentile(each, [50, 99]) for each in lags], axis=0)
    total = sum(each.size for each in lags)
    ratio = statistics.median(their / our for our, their in zip(ours, theirs, strict=True))
    print(f"behind the schedule, ms: p50 {p50:.3f}, p99 {p99:.3f} (medians of the rounds, {total} requests)")
    for name, costs in (("the load process", ours), ("FastHttpUser", theirs)):
        cost = statistics.median(costs)
        print(f"{name}: {1e6 * cost:.0f} us of CPU a request, {1 / cost:.0f} requests a core")
    good = [
        verdict(
            f"p99 of a server that stalls for 1 s: {stalls[0]:.3f} s (plain Locust: {stalls[1]:.3f} s)",
            f"at least {STALL_BAR}",
            stalls[0] >= STALL_BAR,
        ),
        verdict(f"lag at p99: {p99:.3f} ms (median of the rounds)", f"at most {LAG_BAR}", p99 <= LAG_BAR),
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
