"""The version in service on this machine, behind one port, for as long as this process lives."""

from __future__ import annotations

from pathlib import Path

from fairtrial_graphs.backends.interface import Route
from fairtrial_graphs.backends.local.backend import LocalBackend
from fairtrial_servers.launch import model_server

from fairtrial.controller.applying import applied
from fairtrial.controller.placing import Cluster
from fairtrial.delivery.pinning import Pinned
from fairtrial.delivery.service.alone import alone
from fairtrial.planning.models import Fetching, Models


class LocalService:
    """See `Service`. The next version takes over once it is ready; the one before finishes its requests."""

    def __init__(self, template: Path, folder: Path, port: int | None, fetching: Fetching) -> None:
        """folder: for the servers' files and logs. port: None for a free one."""
        self._template = template
        self._models = Models(template.parent, fetching)
        self._backend = LocalBackend(folder, self._models.launcher(model_server), front_port=port)
        self.cluster: Cluster | None = None
        self.outlives = False

    def serve(self, version: Pinned) -> str:
        deployment = alone(self._template, version, self._models)
        return applied(self._backend, deployment, Route(version.arm), lambda _sentence: None).url

    def incidents(self) -> list[str]:
        return [incident.message for incident in self._backend.incidents()]

    def close(self) -> None:
        self._backend.close()
