"""Vertex AI's model registry: the versions of one model, and its own version aliases.

Imported only where a file names it: the client takes seconds to import.
"""

from __future__ import annotations

import importlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from fairtrial_servers.addresses import said

from fairtrial.errors import NotReadyError, UsageError
from fairtrial.registry.buckets import Place, beside, within
from fairtrial.registry.interface import Registered, Version
from fairtrial.registry.vertex_tags import tags_in, with_tags

_service: Any = importlib.import_module("google.cloud.aiplatform_v1.services.model_service")
_storage: Any = importlib.import_module("google.cloud.storage")
_api: Any = importlib.import_module("google.api_core.exceptions")
_auth: Any = importlib.import_module("google.auth.exceptions")

_RUN_TAG = "fairtrial.run"
_ANSWERS_WITHIN = 20.0  # seconds
_MADE_WITHIN = 600.0  # seconds: Vertex AI copies what the image needs before a version is there


class VertexRegistry:
    """One model of a project's, and the alias that says which version serves."""

    def __init__(
        self, model: str, alias: str, *, project: str, location: str, artifacts: str | None, image: str | None
    ) -> None:
        """model: its id. artifacts: gs://bucket/prefix, where models that are promoted are put.
        image: that a version made here is served by on Vertex AI, which wants one.
        """
        self._model = model
        self._alias = alias
        self._project = project
        self._location = location
        self._artifacts = artifacts
        self._image = image

    def check(self) -> None:
        """See `Registry`."""
        with self._in_words("asked for"), suppress(_api.NotFound):
            self._models.get_model(name=self._name, timeout=_ANSWERS_WITHIN)

    def promote(self, artifacts: Path, *, run: str, tags: Mapping[str, str]) -> Registered:
        """See `Registry`."""
        with self._in_words("given the version that won of"):
            version = self._version_of(run) or self._new_version(artifacts, run, tags)
            return Registered(self._model, version, self._alias, self._moved(self._alias, version))

    def holder(self, alias: str) -> Version | None:
        """See `Registry`."""
        with self._in_words(f"asked for the {alias} of"):
            found = self._found(alias)
            return None if found is None else self._told(found)

    def version(self, version: str) -> Version:
        """See `Registry`."""
        with self._in_words(f"asked for version {version} of"):
            return self._told(self._got(version))

    def versions(self) -> list[Version]:
        """See `Registry`."""
        with self._in_words("asked for the versions of"):
            return [self._told(version) for version in self._newest_first()]

    def move(self, alias: str, version: str) -> str | None:
        """See `Registry`."""
        with self._in_words(f"told that {version} is {alias} of"):
            return self._moved(alias, version)

    def drop(self, alias: str) -> None:
        """See `Registry`."""
        with self._in_words(f"told that none is {alias} of"):
            found = self._found(alias)
            if found is not None:
                self._merge(found.version_id, f"-{alias}")

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        """See `Registry`. In the version's description, below what people have written there."""
        with self._in_words(f"given the tags of version {version} of"):
            was = self._got(version).version_description
            wanted = with_tags(was, tags)
            if wanted != was:
                self._models.update_model(
                    model={"name": f"{self._name}@{version}", "version_description": wanted},
                    update_mask={"paths": ["version_description"]},
                    timeout=_ANSWERS_WITHIN,
                )

    def attach(self, version: str, files: Sequence[Path], *, run: str) -> str:
        """See `Registry`. They stand beside the model's folder: gs://.../FOLDER.fairtrial/RUN/report.html."""
        with self._in_words(f"given the report on version {version} of"):
            uri = self._got(version).artifact_uri
            place = beside("gs", uri, run)
            if place is None:
                raise UsageError(
                    f"the report on version {version} of {self._model} has no place: its model is at "
                    f"{uri or 'no address'}, and a report is put beside models in Google Storage only"
                )
            self._put(place, ((file, file.name) for file in files))
            return place.uri

    @cached_property
    def _models(self) -> Any:
        endpoint = f"{self._location}-aiplatform.googleapis.com"
        return _service.ModelServiceClient(client_options={"api_endpoint": endpoint})

    @property
    def _parent(self) -> str:
        return f"projects/{self._project}/locations/{self._location}"

    @property
    def _name(self) -> str:
        return f"{self._parent}/models/{self._model}"

    def _found(self, version_or_alias: str) -> Any | None:
        with suppress(_api.NotFound):
            return self._models.get_model(name=f"{self._name}@{version_or_alias}", timeout=_ANSWERS_WITHIN)
        return None

    def _got(self, version: str) -> Any:
        found = self._found(version) if version.isdecimal() else None  # a word were an alias
        if found is None:
            raise NotReadyError(f"there is no version {version} of {self._model} in {self._where}")
        return found

    def _newest_first(self) -> list[Any]:
        with suppress(_api.NotFound):
            found = list(self._models.list_model_versions(name=self._name, timeout=_ANSWERS_WITHIN))
            return sorted(found, key=lambda version: int(version.version_id), reverse=True)
        return []

    def _told(self, found: Any) -> Version:
        return Version(
            self._model,
            found.version_id,
            found.artifact_uri,
            found.version_create_time.timestamp(),
            tags_in(found.version_description),
        )

    def _version_of(self, run: str) -> str | None:
        """The version that this run has made; None if there is none."""
        ours = (
            each for each in self._newest_first() if tags_in(each.version_description).get(_RUN_TAG) == run
        )
        return next((each.version_id for each in ours), None)

    def _new_version(self, artifacts: Path, run: str, tags: Mapping[str, str]) -> str:
        if self._artifacts is None or self._image is None:
            raise UsageError(
                "say where models that are promoted are put, and which image serves them on Vertex AI: "
                "vertex.artifacts, as in gs://bucket/models, and vertex.image"
            )
        place = within("gs", self._artifacts, f"{self._model}/{run}")
        files = sorted(each for each in artifacts.rglob("*") if each.is_file()) or [artifacts]
        top = artifacts if artifacts.is_dir() else artifacts.parent
        self._put(place, ((file, file.relative_to(top).as_posix()) for file in files))
        there = bool(self._newest_first())
        made = self._models.upload_model(
            request={
                "parent": self._parent,
                **({"parent_model": self._name} if there else {"model_id": self._model}),
                "model": {
                    "display_name": self._model,
                    "artifact_uri": place.uri,
                    "container_spec": {"image_uri": self._image},
                    "version_description": with_tags("", {_RUN_TAG: run, **tags}),
                },
            },
            timeout=_ANSWERS_WITHIN,
        )
        return str(made.result(timeout=_MADE_WITHIN).model_version_id)

    def _put(self, place: Place, files: Iterable[tuple[Path, str]]) -> None:
        bucket = _storage.Client(project=self._project).bucket(place.bucket)
        for file, name in files:
            bucket.blob(f"{place.key}/{name}").upload_from_filename(str(file))

    def _moved(self, alias: str, version: str) -> str | None:
        holder = self._found(alias)
        before = None if holder is None else str(holder.version_id)
        if before == version:
            return None
        self._got(version)
        self._merge(version, alias)
        return before

    def _merge(self, version: str, alias: str) -> None:
        self._models.merge_version_aliases(
            name=f"{self._name}@{version}", version_aliases=[alias], timeout=_ANSWERS_WITHIN
        )

    @property
    def _where(self) -> str:
        return f"Vertex AI's model registry of {self._project} in {self._location}"

    @contextmanager
    def _in_words(self, doing: str) -> Generator[None]:
        try:
            yield
        except (_api.GoogleAPIError, _auth.GoogleAuthError, OSError) as error:
            raise NotReadyError(
                f"{self._where} cannot be {doing} {self._model}: {said(error, '')}; see vertex.project, "
                f"vertex.location, the credentials of Google Cloud (GOOGLE_APPLICATION_CREDENTIALS and its "
                f"like) and docs/registries.md"
            ) from None
