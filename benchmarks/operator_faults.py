"""Faults between the operator and the API server: does every experiment come to its right end?

    uv run python benchmarks/operator_faults.py [--experiments 200] [--chance 0.1]

A real etcd and kube-apiserver, a stand-in for Seldon's operator, and a proxy that answers each request with
409 (writes), 429 and 500, loses its answer after it was done, and cuts watches off, each with this chance. A
sixth of the experiments each is better, worse, the same, crashing, aborted, deleted in the middle. Told
are those that are not as they should be: their phase, who serves, effects made twice, a step back, leases,
finalizers and Deployments that are left.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from cluster import control_plane, crds, programs
from cluster.client import Client
from cluster.faults import Faults, FaultyProxy
from cluster.operator.conftest import Cluster, Running, write_holdout
from cluster.operator.many import Many
from cluster.seldon_operator import SeldonOperator
from fairtrial.experiment.crd import crd


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--experiments", type=int, default=200)
    options.add_argument("--chance", type=float, default=0.1)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        apiserver = programs.kubernetes("kube-apiserver", print)
        with control_plane.control_plane(programs.etcd(), apiserver, folder) as plane:
            run(plane, folder, asked.experiments, asked.chance)


def run(plane: control_plane.ControlPlane, folder: Path, count: int, chance: float) -> None:
    client = Client(plane.url, plane.authority, plane.token)
    client.install([*crds.seldon(), *crds.istio(), crd()])
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "faults"}})
    seldon = SeldonOperator(client)
    seldon.start()
    proxy = FaultyProxy(plane, folder, Faults.all(chance))
    proxy.start()
    cluster = Cluster(client, "faults", seldon, folder / "sources", write_holdout(folder))
    many = Many(cluster, count)
    many.create()
    begun = time.monotonic()
    running = Running(
        plane,
        cluster,
        kubeconfig=proxy.kubeconfig,
        lease_duration=15,
        patience=0.5,
        ready_timeout=600.0,
        unready_limit=2.0,
    )
    try:
        many.drive(1800, lambda sentence: print(sentence, flush=True))
    finally:
        seconds = time.monotonic() - begun
        running.stop()
        proxy.stop()
        seldon.stop()
    troubles = many.troubles()
    client.close()
    print(f"{count} experiments in {seconds:.0f} s, {sum(proxy.requests.values())} requests")
    print("faults: " + ", ".join(f"{number} {what}" for what, number in sorted(proxy.faulted.items())))
    print(
        "\n".join(troubles) or "every one is in its right end state; no effect twice, no step back, no orphan"
    )
    sys.exit(1 if troubles else 0)


if __name__ == "__main__":
    main()
