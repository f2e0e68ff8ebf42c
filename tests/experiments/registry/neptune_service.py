"""Neptune's own stand-in for its service, that of its mode "debug", kept over connections and with a table.

The service cannot be reached from a test. The client above it is the real one: models, versions, fields,
their operations, and the rows of a table.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from neptune.exceptions import ModelNotFound, ModelVersionNotFound
from neptune.internal.backends.api_model import (
    ApiExperiment,
    AttributeType,
    AttributeWithProperties,
    LeaderboardEntry,
)
from neptune.internal.backends.neptune_backend_mock import NeptuneBackendMock
from neptune.internal.container_type import ContainerType
from neptune.internal.id_formats import SysId, UniqueId
from neptune.types.atoms import Datetime, String

MODEL = "WIN-WINE"
_KINDS = {String: "string", Datetime: "datetime"}


class Service(NeptuneBackendMock):
    """A project with the model WIN-WINE, which has no versions yet."""

    PROJECT_KEY = SysId("WIN")

    def __init__(self) -> None:
        super().__init__()
        self.there = {MODEL: self._api(MODEL, ContainerType.MODEL)}

    def _api(self, name: str, kind: ContainerType) -> ApiExperiment:
        made = ApiExperiment(
            id=UniqueId(name),
            type=kind,
            sys_id=SysId(name),
            workspace=self.WORKSPACE_NAME,
            project_name=self.PROJECT_NAME,
        )
        self._create_container(made.id, kind, made.sys_id)
        return made

    def create_model_version(self, project_id: str, model_id: UniqueId) -> ApiExperiment:
        name = f"{MODEL}-{len(self.there)}"
        made = self._api(name, ContainerType.MODEL_VERSION)
        values = self._get_container(made.id, ContainerType.MODEL_VERSION)
        # A service's times are in UTC.
        values.set(["sys", "creation_time"], Datetime(datetime.now(UTC).replace(tzinfo=None)))
        self.there[name] = made
        return made

    def get_metadata_container(
        self, container_id: str, expected_container_type: ContainerType | None
    ) -> ApiExperiment:
        found = self.there.get(container_id.rpartition("/")[2])
        if found is None or found.type is not expected_container_type:
            absent = ModelNotFound if expected_container_type is ContainerType.MODEL else ModelVersionNotFound
            raise absent(container_id)
        return found

    def search_leaderboard_entries(self, *_: Any, columns: set[str], **__: Any) -> Iterator[LeaderboardEntry]:
        for name, each in self.there.items():
            if each.type is ContainerType.MODEL_VERSION:
                values = self._get_container(each.id, each.type)
                cells = [self._cell(values, path) for path in columns]
                yield LeaderboardEntry(name, [cell for cell in cells if cell is not None])

    def _cell(self, values: Any, path: str) -> AttributeWithProperties | None:
        value = values.get(path.split("/"))
        if value is None:
            return None
        kind = AttributeType(_KINDS[type(value)])
        plain = (
            value.value.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if kind is AttributeType.DATETIME else value.value
        )
        return AttributeWithProperties(path, kind, {"value": plain})
