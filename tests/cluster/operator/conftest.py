"""An operator at work in a namespace of its own, on a real API server, beside a stand-in for Seldon's."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cluster.client import Client, Object
from cluster.control_plane import ControlPlane
from cluster.operator.scripted import Source, feeds
from cluster.seldon_operator import ISTIO, Health, SeldonOperator, weights_of
from experiments.registry.conftest import mlflow_server
from fairtrial.experiment.crd import crd
from fairtrial.operator.serving import Options, serve

__all__ = ["mlflow_server"]  # a fixture of another package

EXPERIMENT = ("fairtrial.dev/v1alpha1", "Experiment")


@pytest.fixture(scope="session")
def experiments(api: Client) -> Client:
    """A client of a server that has the kind Experiment."""
    api.install([crd()])
    return api


@dataclass
class Cluster:
    """What a test does with experiments of one namespace, and what it sees of them."""

    api: Client
    namespace: str
    seldon: SeldonOperator
    sources: Path
    holdout: Path

    def manifest(self, name: str = "wine", *, asking: str = "", **spec: Any) -> dict[str, Any]:
        """One that ends within a few looks. asking: an annotation that it has from the start."""
        annotations = {f"fairtrial.dev/{asking}": "true"} if asking else {}
        arms = [
            {"name": arm, "modelUri": f"s3://models/{arm}", "implementation": "SKLEARN_SERVER"}
            for arm in ("v1", "v2")
        ]
        load = {"arrivalRate": "100/s", "maxDuration": "60s", "requests": {"data": str(self.holdout)}}
        wanted = {
            "baseline": arms[0],
            "candidates": [arms[1]],
            "strategy": {"canary": {"steps": [{"setWeight": 10, "minRequests": 20}, {"setWeight": 50}]}},
            "traffic": {"loadTest": load},
            "metrics": [{"name": "accuracy", "minEffect": "1pp"}],
            **spec,
        }
        return {
            "apiVersion": EXPERIMENT[0],
            "kind": EXPERIMENT[1],
            "metadata": {"name": name, "namespace": self.namespace, "annotations": annotations},
            "spec": copy.deepcopy(wanted),
        }

    def create(self, name: str = "wine", **spec: Any) -> None:
        self.api.create(self.manifest(name, **spec))

    def get(self, name: str = "wine") -> Object | None:
        return self.api.get(*EXPERIMENT, name, namespace=self.namespace)

    def status(self, name: str = "wine") -> Object:
        found = self.get(name)
        assert found is not None
        return found.get("status") or {}

    def annotate(self, name: str = "wine", **annotations: str | None) -> None:
        named = {f"fairtrial.dev/{key}": value for key, value in annotations.items()}
        change = {"metadata": {"annotations": named}}
        self.api.patch(*EXPERIMENT, name, change, namespace=self.namespace)

    def change(self, name: str = "wine", **spec: Any) -> None:
        self.api.patch(*EXPERIMENT, name, {"spec": spec}, namespace=self.namespace)

    def delete(self, name: str = "wine") -> None:
        self.api.delete(*EXPERIMENT, name, namespace=self.namespace)

    def until(self, holds: Callable[[Object], Any], name: str = "wine", timeout: float = 60.0) -> Object:
        """The status once that holds of it."""

        def seen(found: Object | None) -> Any:
            return found is not None and holds(found.get("status") or {})

        found = self.api.wait(*EXPERIMENT, name, seen, namespace=self.namespace, timeout=timeout)
        assert found is not None
        return found["status"]

    def until_phase(self, phase: str, name: str = "wine", timeout: float = 60.0) -> Object:
        return self.until(lambda status: status.get("phase") == phase, name, timeout)

    def until_step(self, step: str, name: str = "wine") -> Object:
        def holds(status: Object) -> bool:
            return status.get("phase") == "Running" and status.get("step") == step

        return self.until(holds, name)

    def source(self, name: str = "wine", attempt: int = 1) -> Source:
        """Of a run's observations; the experiment must be there."""
        found = self.get(name)
        assert found is not None
        return Source(self.sources / f"{name}-{found['metadata']['uid'][:8]}-{attempt}")

    def split(self, name: str = "wine") -> dict[str, int]:
        """What the gateway obeys."""
        found = self.api.get(ISTIO, "VirtualService", name, namespace=self.namespace)
        assert found is not None
        return weights_of(found)

    def until_split(self, **weights: int) -> None:
        def holds(found: Object | None) -> bool:
            return found is not None and weights_of(found) == weights

        self.api.wait(ISTIO, "VirtualService", "wine", holds, namespace=self.namespace, timeout=60)

    def gone(self, name: str = "wine", timeout: float = 60.0) -> None:
        """Wait until it is."""
        self.api.wait(*EXPERIMENT, name, lambda found: found is None,
                      namespace=self.namespace, timeout=timeout)  # fmt: skip

    def unhealthy(self, arm: str, name: str = "wine") -> None:
        self.seldon.set_health(self.namespace, f"{name}-{arm}", Health.CRASHING)

    def healthy(self, arm: str, name: str = "wine") -> None:
        self.seldon.set_health(self.namespace, f"{name}-{arm}", Health.READY)

    def events(self, name: str = "wine") -> list[tuple[str, str]]:
        found = self.api.list("v1", "Event", namespace=self.namespace)
        return [(e["reason"], e["message"]) for e in found if e["involvedObject"]["name"] == name]

    def until_told(self, *reasons: str, timeout: float = 30.0) -> None:
        """Events are made beside the status, and may be there a little later."""
        deadline = time.monotonic() + timeout
        while missing := set(reasons) - {reason for reason, _ in self.events()}:
            assert time.monotonic() < deadline, f"nobody was told of {', '.join(missing)}"
            time.sleep(0.1)


@pytest.fixture
def cluster(experiments: Client, seldon_operator: SeldonOperator, namespace: str, tmp_path: Path) -> Cluster:
    return Cluster(experiments, namespace, seldon_operator, tmp_path / "sources", write_holdout(tmp_path))


def write_holdout(folder: Path) -> Path:
    """Rows for a load that nobody drives: a plan counts them."""
    file = folder / "holdout.parquet"
    pq.write_table(pa.table({"x": list(range(4000)), "target": [0] * 4000}), file)
    return file


class Running:
    """An operator in a thread of this process."""

    def __init__(self, control_plane: ControlPlane, cluster: Cluster, **settings: Any) -> None:
        self._ended = threading.Event()
        self._failed: list[BaseException] = []
        options = Options(
            namespaces=(cluster.namespace,),
            lease_namespace=cluster.namespace,
            lease_duration=settings.pop("lease_duration", 2),
            port=0,
            kubeconfig=settings.pop("kubeconfig", control_plane.kubeconfig),
            ready_timeout=settings.pop("ready_timeout", 5.0),
            image=settings.pop("image", None),
            settings={"patience": 0.1, "pauses": (0.2,), **settings},
        )
        self._thread = threading.Thread(target=self._serve, args=(options, cluster), daemon=True)
        self._thread.start()

    def _serve(self, options: Options, cluster: Cluster) -> None:
        try:
            serve(options, feeds(cluster.sources), self._ended)
        except BaseException as error:
            self._failed.append(error)
            raise

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(30)
        assert not self._thread.is_alive()
        assert not self._failed


Start = Callable[..., Running]


@pytest.fixture
def start(control_plane: ControlPlane, cluster: Cluster) -> Iterator[Start]:
    """Start an operator; it is stopped with the test."""
    running: list[Running] = []

    def new(**settings: Any) -> Running:
        running.append(Running(control_plane, cluster, **settings))
        return running[-1]

    yield new
    for each in running:
        each.stop()
