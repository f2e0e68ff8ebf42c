"""The version in service as a SeldonDeployment of a cluster, where it outlives this process."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from fairtrial_graphs.backends.interface import Route

from fairtrial.controller.applying import applied, released
from fairtrial.controller.placing import Cluster, cluster_backend
from fairtrial.delivery.pinning import Pinned
from fairtrial.delivery.service.alone import alone
from fairtrial.errors import NotReadyError
from fairtrial.planning.models import Fetching, Models


class KubernetesService:
    """See `Service`."""

    def __init__(self, template: Path, cluster: Cluster, holder: str, fetching: Fetching) -> None:
        """holder: who is said to hold the SeldonDeployment while it is changed."""
        self._template = template
        self._models = Models(template.parent, fetching)
        self._holder = holder
        self.cluster: Cluster | None = cluster
        self.outlives = True
        self._where = cluster

    def serve(self, version: Pinned) -> str:
        deployment = alone(self._template, version, self._models)
        with cluster_backend(self._where, self._holder) as backend:
            try:
                serving = applied(backend, deployment, Route(version.arm), lambda _sentence: None)
            except BaseException:
                with suppress(NotReadyError):
                    released(backend)
                raise
            released(backend)
        return serving.url

    def incidents(self) -> list[str]:
        return []

    def close(self) -> None:
        """Nothing of it runs here."""
