"""The executor's metrics: names, labels and buckets of Seldon Core 1.17.1."""

from __future__ import annotations

import re

from prometheus_client import CollectorRegistry, Histogram, Summary, generate_latest

from fairtrial_graphs.backends.local.executor.graph import Graph

_SERVER = "seldon_api_executor_server_requests_seconds"
_CLIENT = "seldon_api_executor_client_requests_seconds"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_WHOLE = re.compile(rb'le="(\d+)\.0"')
_OF_PREDICTOR = ["deployment_name", "predictor_name", "predictor_version", "service"]
_OF_MODEL = ["model_name", "model_image", "model_version"]
_OF_ANSWER = ["method", "code"]


class Metrics:
    def __init__(self, graph: Graph) -> None:
        self._registry = CollectorRegistry()
        self._images = {node.name: node.image for node in graph.root.walk()}
        self._predictor = (graph.deployment, graph.predictor, graph.version)
        server, client = [*_OF_PREDICTOR, *_OF_ANSWER], [*_OF_PREDICTOR, *_OF_MODEL, *_OF_ANSWER]
        self._server = self._pair(_SERVER, "latencies for executor server", server)
        self._client = self._pair(_CLIENT, "latencies for client calls from executor", client)

    def served(self, service: str, method: str, status: int | str, seconds: float) -> None:
        for metric in self._server:
            metric.labels(*self._predictor, service, method.lower(), str(status)).observe(seconds)

    def asked(self, model: str, path: str, method: str, status: int | str, seconds: float) -> None:
        """A node's server answered; `model` is the name it was asked under."""
        # Cut at every colon, as the executor does: a registry with a port leaves no version.
        image, *rest = self._images.get(model, "").split(":")
        version = rest[0] if len(rest) == 1 else ""
        for metric in self._client:
            metric.labels(*self._predictor, path, model, image, version, method.lower(), str(status)).observe(
                seconds
            )

    def text(self) -> bytes:
        # The executor writes le="1" where this library writes le="1.0".
        return _WHOLE.sub(rb'le="\1"', generate_latest(self._registry))

    def _pair(self, name: str, what: str, labels: list[str]) -> tuple[Histogram, Summary]:
        return (
            Histogram(name, f"A histogram of {what}", labels, buckets=_BUCKETS, registry=self._registry),
            Summary(f"{name}_summary", f"A summary of {what}", labels, registry=self._registry),
        )
