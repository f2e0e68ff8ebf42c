"""Throughput of one model server with and without adaptive batching, as concurrency grows.

    uv run benchmarks/batching.py [--callers 1,8,32] [--rounds 8]

The same scikit-learn pipeline is served twice: as it is, and with `max_batch_size: 32`. Connections ask for
one row each, as soon as they are answered; both servers take turns, round by round, and each ratio is of
rounds in turn. The servers are pinned to core 0, the client to core 1. Ends with 1 if batching does not pay
with 32 callers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import joblib
import psutil
from envoy_overhead import Address, address, throughput, verdict
from fairtrial_graphs.backends.local.ports import free_ports
from fairtrial_servers.launch import model_server
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

BAR = 1.3  # times the throughput without, with 32 callers


@contextlib.contextmanager
def serving(
    model: Path, folder: Path, parameters: Mapping[str, str], body: bytes
) -> Iterator[tuple[Address, int]]:
    """Where the server is asked, and its process id."""
    http, grpc, metrics = free_ports(3)
    command = model_server(
        node="v1", implementation="SKLEARN_SERVER", model_uri=str(model), http_port=http, grpc_port=grpc,
        metrics_port=metrics, parameters=parameters, folder=str(folder),
    )  # fmt: skip
    with (folder / "stdout").open("wb") as out:
        env = {**os.environ, **command.env}
        process = subprocess.Popen(["taskset", "-c", "0", *command.argv], stdout=out, env=env)
    try:
        while not (folder / "stdout").read_bytes():
            if process.poll() is not None:
                raise SystemExit("the server did not start")
            time.sleep(0.1)
        yield address(f"http://127.0.0.1:{http}", body), process.pid
    finally:
        process.terminate()
        process.wait(20)


def cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--callers", type=lambda said: [int(each) for each in said.split(",")], default=[1, 8, 32]
    )
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a round")
    parser.add_argument("--wait", default="2ms", help="max_batch_time")
    options = parser.parse_args()
    os.sched_setaffinity(0, {(os.cpu_count() or 1) - 1})
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        data, target = load_digits(return_X_y=True)
        pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
        joblib.dump(pipeline.fit(data[:600], target[:600]), folder / "model.joblib")
        row = {"name": "x", "shape": [1, 64], "datatype": "FP64", "data": data[700].tolist()}
        body = json.dumps({"inputs": [row]}).encode()
        batched = {"max_batch_size": "32", "max_batch_time": options.wait}
        ways = [
            stack.enter_context(serving(folder / "model.joblib", folder / str(len(said)), said, body))
            for said in ({}, batched)
        ]
        print(f"{'callers':>8}{'alone, 1/s':>12}{'batched, 1/s':>14}{'ratio':>8}{'CPU ratio':>11}")
        ratios: dict[int, float] = {}
        for callers in options.callers:
            rates: list[list[float]] = []
            costs: list[list[float]] = []
            for _ in range(options.rounds + 1):
                turn: list[float] = []
                cost: list[float] = []
                for to, pid in ways:
                    before = cpu(pid)
                    turn.append(asyncio.run(throughput(to, callers, options.seconds)))
                    cost.append((cpu(pid) - before) / (turn[-1] * options.seconds))
                rates.append(turn)
                costs.append(cost)
            alone, together = (statistics.median(column) for column in zip(*rates[1:], strict=True))
            ratios[callers] = statistics.median(with_ / without for without, with_ in rates[1:])
            spent = statistics.median(with_ / without for without, with_ in costs[1:])
            print(f"{callers:8}{alone:12.0f}{together:14.0f}{ratios[callers]:8.2f}{spent:11.2f}")
    if 32 not in ratios:
        return 0
    return 0 if verdict(f"throughput ratio at 32: {ratios[32]:.2f}", f"{BAR}", ratios[32] >= BAR) else 1


if __name__ == "__main__":
    sys.exit(main())
