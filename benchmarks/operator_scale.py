"""Many experiments at once in one operator: its memory, its requests to the API server, its processor time.

    uv run python benchmarks/operator_scale.py [--experiments 50 250 500] [--seconds 120]

A real etcd and kube-apiserver and a stand-in for Seldon's operator. Every experiment is at its first step and
judged by ten requests a second, one look each ten seconds, on an error rate and a mean, so narrowly that none
is decided however slow the machine.
The operator is a process of its own; requests are counted by a proxy before the API server. No run comes to
its end: what is told is of the steady state, over the given seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from cluster import control_plane, crds, programs
from cluster.client import Client
from cluster.faults import Faults, FaultyProxy
from cluster.operator.conftest import EXPERIMENT, Cluster, write_holdout
from cluster.seldon_operator import SeldonOperator
from fairtrial.clock import Clock
from fairtrial.experiment.crd import crd
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.interface import RunJournal
from fairtrial.operator.serving import Options, serve
from fairtrial.planning.plan import Plan
from fairtrial_loadtests.parts import part_path
from fairtrial_loadtests.plan import LoadPlan

RATE, LOOK = 10, 10.0  # requests a second of both arms together; seconds between looks
READY = 3600.0  # seconds that all may take to run


class Trickle:
    """A feed and its load: the observations of one look at a time, as the clock goes."""

    def __init__(self, folder: RunFolder, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._part = 0
        self._next = 0.0
        self._draw = np.random.default_rng(abs(hash(folder.id)))

    def restore(self) -> None:
        pass

    def load(self, _plan: LoadPlan) -> Trickle:
        return self

    def start(self) -> None:
        self._next = self._clock.now() + self._draw.uniform(0, LOOK)

    alive, returncode, error = True, None, ""

    def poll(self) -> Sequence[Path]:
        now = self._clock.now()
        if now < self._next:
            return []
        count = int(RATE * LOOK)
        arm = np.array(["v1", "v2"])[(self._draw.random(count) < 0.1).astype(int)]
        table = pa.table(
            {
                "arm": arm,
                "time": np.sort(self._next - LOOK + self._draw.uniform(0, LOOK, count)),
                "latency": self._draw.lognormal(-4, 0.4, count),
                "status": np.where(self._draw.random(count) < 0.01, 500, 200).astype(np.int16),
                "id": [f"{self._part * count + i}-split" for i in range(count)],
                "segment": ["step-1"] * count,
                "score": self._draw.random(count),
            }
        )
        path = part_path(self._folder.observations, self._part)
        pq.write_table(table, path)
        self._part += 1
        self._next += LOOK
        return [path]

    def incidents(self) -> Sequence[str]:
        return ()

    def stop(self) -> int:
        return 0


def operate(kubeconfig: str) -> None:
    """The operator's process."""

    def feed(_plan: Plan, folder: RunFolder, _journal: RunJournal, clock: Clock) -> Trickle:
        return Trickle(folder, clock)

    # The stand-in may be starved on a small machine: that it is late is no failure of the operator's.
    options = Options(
        namespaces=("scale",),
        lease_namespace="scale",
        port=0,
        kubeconfig=Path(kubeconfig),
        ready_timeout=READY,
    )
    serve(options, feed)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--experiments", type=int, nargs="+", default=[50, 250, 500])
    asked.add_argument("--seconds", type=float, default=120.0)
    asked.add_argument("--operate", metavar="KUBECONFIG")
    options = asked.parse_args()
    if options.operate:
        operate(options.operate)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        apiserver = programs.kubernetes("kube-apiserver", print)
        with control_plane.control_plane(programs.etcd(), apiserver, folder) as plane:
            measure(plane, folder, options.experiments, options.seconds)


def measure(plane: control_plane.ControlPlane, folder: Path, counts: Sequence[int], seconds: float) -> None:
    client = Client(plane.url, plane.authority, plane.token)
    client.install([*crds.seldon(), *crds.istio(), crd()])
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "scale"}})
    seldon = SeldonOperator(client)
    seldon.start()
    proxy = FaultyProxy(plane, folder, Faults())
    proxy.start()
    cluster = Cluster(client, "scale", seldon, folder / "sources", write_holdout(folder))
    command = [sys.executable, "-W", "ignore", __file__, "--operate", str(proxy.kubeconfig)]
    charts = {"MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    operator = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, **charts})
    process = psutil.Process(operator.pid)
    print("experiments   memory MB   requests a minute, of each   processor ms a minute, of each")
    try:
        made = 0
        for count in counts:
            for number in range(made, count):
                cluster.create(f"e-{number}", **spec(cluster))
            made = count
            await_running(client, seldon, count)
            time.sleep(2 * LOOK)
            before, cpu = sum(proxy.requests.values()), sum(process.cpu_times()[:2])
            time.sleep(seconds)
            requests = (sum(proxy.requests.values()) - before) / seconds * 60 / count
            busy = (sum(process.cpu_times()[:2]) - cpu) / seconds * 60 / count * 1000
            memory = process.memory_info().rss / 1e6
            print(f"{count:11}   {memory:9.0f}   {requests:26.2f}   {busy:30.0f}", flush=True)
        print(json.dumps(dict(proxy.requests.most_common(12))))
    finally:
        asked_at = time.monotonic()
        operator.terminate()
        operator.wait(60)
        print(f"it ended in {time.monotonic() - asked_at:.1f} s", flush=True)
        proxy.stop()
        seldon.stop()
        client.close()


def spec(cluster: Cluster) -> dict[str, object]:
    load = {"arrivalRate": f"{RATE}/s", "maxDuration": "1h", "paired": False,
            "requests": {"data": str(cluster.holdout)}}  # fmt: skip
    return {
        "traffic": {"loadTest": load},
        "strategy": {"canary": {"steps": [{"setWeight": 10, "pause": "1h"}, {"setWeight": 50}]}},
        "metrics": [
            {"name": "errorRate", "maxRegression": "0.1pp"},
            {
                "name": "mean",
                "column": "latency",
                "kind": "mean",
                "direction": "decrease",
                "role": "guardrail",
                "maxRegression": "1%",
            },
        ],
        "analysis": {"lookInterval": f"{LOOK:g}s"},
    }


def await_running(client: Client, seldon: SeldonOperator, count: int) -> None:
    deadline = time.monotonic() + READY
    while True:
        found = [each.get("status") or {} for each in client.list(*EXPERIMENT, namespace="scale")]
        if failed := [each["message"] for each in found if each.get("phase") == "Failed"]:
            raise RuntimeError("\n".join([failed[0], *refusals(seldon)]))
        running = sum(each.get("phase") == "Running" for each in found)
        if running == count:
            return
        if time.monotonic() > deadline:
            raise TimeoutError("\n".join([f"{running} of {count} run", *refusals(seldon)]))
        time.sleep(1.0)


def refusals(seldon: SeldonOperator) -> list[str]:
    """What the stand-in could not do, of which the operator is innocent."""
    return [f"the stand-in for Seldon's operator: {each}" for each in seldon.failures[:10]]


if __name__ == "__main__":
    main()
