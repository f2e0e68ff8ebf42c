"""Neptune's model registry (its app 2.x): the versions of one model, and its aliases as fields of that model.

A field is set in one step, so that an alias has one version at any moment. The stages follow the alias that
serves: what has it is in production, and nothing else is. Imported only where a file names it.
"""

from __future__ import annotations

import importlib
import json
import logging
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

from fairtrial_servers.addresses import said

from fairtrial.errors import NotReadyError
from fairtrial.registry.interface import Registered, Version

_neptune: Any = importlib.import_module("neptune")
_failures: Any = importlib.import_module("neptune.exceptions")

_RUN_TAG = "fairtrial.run"
_TAGS = "fairtrial/tags"
_MADE = "sys/creation_time"
_STAGE = "sys/stage"


class NeptuneRegistry:
    """One model of a project's, and the alias that says which version serves."""

    def __init__(self, model: str, alias: str, *, project: str, address: str) -> None:
        """model: its id, as in WIN-WINE. address: the field of a version that says where its files are."""
        self._model = model
        self._alias = alias
        self._project = project
        self._address = address
        # What it logs goes to standard output, where our one document is to be.
        logging.getLogger("neptune").setLevel(logging.CRITICAL)

    def check(self) -> None:
        """See `Registry`."""
        with self._in_words("asked for"), self._opened("read-only"):
            pass

    def promote(self, artifacts: Path, *, run: str, tags: Mapping[str, str]) -> Registered:
        """See `Registry`. The files are uploaded to the version, as model/files."""
        with self._in_words("given the version that won of"):
            version = self._version_of(run) or self._new_version(artifacts, run, tags)
            return Registered(self._model, version, self._alias, self._moved(self._alias, version))

    def holder(self, alias: str) -> Version | None:
        """See `Registry`."""
        with self._in_words(f"asked for the {alias} of"), self._opened("read-only") as model:
            version = _field(model, _alias(alias))
            return next((each for each, _ in self._rows(model) if each.version == version), None)

    def version(self, version: str) -> Version:
        """See `Registry`."""
        with self._in_words(f"asked for version {version} of"), self._opened("read-only") as model:
            return self._among(self._rows(model), version)

    def versions(self) -> list[Version]:
        """See `Registry`."""
        with self._in_words("asked for the versions of"), self._opened("read-only") as model:
            return [version for version, _ in self._rows(model)]

    def move(self, alias: str, version: str) -> str | None:
        """See `Registry`."""
        with self._in_words(f"told that {version} is {alias} of"):
            return self._moved(alias, version)

    def drop(self, alias: str) -> None:
        """See `Registry`."""
        with self._in_words(f"told that none is {alias} of"), self._opened("sync") as model:
            if model.exists(_alias(alias)):
                del model[_alias(alias)]
            if alias == self._alias:
                self._stage(self._rows(model), None)

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        """See `Registry`. As one field, fairtrial/tags."""
        with self._in_words(f"given the tags of version {version} of"):
            has = self.version(version).tags
            with self._opened("sync", version) as container:
                container[_TAGS] = json.dumps({**has, **tags}, sort_keys=True)

    def attach(self, version: str, files: Sequence[Path], *, run: str) -> str:
        """See `Registry`. They are files of the version, below fairtrial/RUN; the address is its page's."""
        with self._in_words(f"given the report on version {version} of"):
            self.version(version)
            with self._opened("sync", version) as container:
                for file in files:
                    container[f"fairtrial/{run}/{file.name}"].upload(str(file))
                return str(container.get_url())

    @contextmanager
    def _opened(self, mode: str, version: str | None = None) -> Generator[Any]:
        """The model, or one of its versions."""
        how = {"project": self._project, "mode": mode}
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # that its model registry is deprecated is said in docs/registries.md
            if version is None:
                container = _neptune.init_model(with_id=self._model, key="-", **how)
            else:
                name = f"{self._model}-{version}"
                container = _neptune.init_model_version(with_id=name, model=self._model, **how)
        try:
            yield container
        finally:
            container.stop()

    def _rows(self, model: Any) -> list[tuple[Version, str]]:
        """Every version and its stage, newest first."""
        wanted = [_MADE, _STAGE, _TAGS, self._address]
        found = model.fetch_model_versions_table(columns=wanted, progress_bar=False).to_rows()
        told = [(self._told(row), str(_cell(row, _STAGE) or "none")) for row in found]
        return sorted(told, key=lambda each: int(each[0].version), reverse=True)

    def _told(self, row: Any) -> Version:
        return Version(
            self._model,
            str(_cell(row, "sys/id")).rpartition("-")[2],
            str(_cell(row, self._address) or ""),
            _cell(row, _MADE).replace(tzinfo=UTC).timestamp(),
            json.loads(_cell(row, _TAGS) or "{}"),
        )

    def _among(self, rows: Sequence[tuple[Version, str]], version: str) -> Version:
        for each, _ in rows:
            if each.version == version:
                return each
        raise NotReadyError(f"there is no version {version} of {self._model} in {self._where}")

    def _version_of(self, run: str) -> str | None:
        """The version that this run has made; None if there is none."""
        ours = (version for version in self.versions() if version.tags.get(_RUN_TAG) == run)
        return next((version.version for version in ours), None)

    def _new_version(self, artifacts: Path, run: str, tags: Mapping[str, str]) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = _neptune.init_model_version(model=self._model, project=self._project, mode="sync")
        try:
            # The tags come last: a version without them is one that was not finished, and another is made.
            made["model/files"].upload_files(str(artifacts))
            made[_TAGS] = json.dumps({_RUN_TAG: run, **tags}, sort_keys=True)
            return str(made["sys/id"].fetch()).rpartition("-")[2]
        finally:
            made.stop()

    def _moved(self, alias: str, version: str) -> str | None:
        with self._opened("sync") as model:
            rows = self._rows(model)
            self._among(rows, version)
            before = _field(model, _alias(alias))
            if before != version:
                model[_alias(alias)] = version
            if alias == self._alias:  # if it has it already too: it may have been killed in between
                self._stage(rows, version)
            return None if before == version else before

    def _stage(self, rows: Sequence[tuple[Version, str]], serves: str | None) -> None:
        """What serves is in production, and what else is there is archived."""
        for each, stage in rows:
            wanted = "production" if each.version == serves else "archived"
            if stage != wanted and "production" in (stage, wanted):
                with self._opened("sync", each.version) as container:
                    container.change_stage(wanted)

    @property
    def _where(self) -> str:
        return f"Neptune's model registry of {self._project}"

    @contextmanager
    def _in_words(self, doing: str) -> Generator[None]:
        try:
            yield
        except (_failures.NeptuneException, OSError) as error:
            raise NotReadyError(
                f"{self._where} cannot be {doing} {self._model}: {_words(error)}; see neptune.project, "
                f"neptune.model, NEPTUNE_API_TOKEN and docs/registries.md"
            ) from None


def _alias(alias: str) -> str:
    return f"fairtrial/aliases/{alias}"


def _field(container: Any, path: str) -> str | None:
    return str(container[path].fetch()) if container.exists(path) else None


def _cell(row: Any, path: str) -> Any:
    """None where there is no such field."""
    try:
        return row.get_attribute_value(path)
    except ValueError:
        return None


def _words(error: BaseException) -> str:
    """Neptune's messages are pages, in colours and with lines of dashes."""
    lines = (line.strip().rstrip(".") for line in str(error).splitlines())
    plain = [line for line in lines if line and "----" not in line and "\x1b" not in line]
    return said(Exception(plain[0]), "") if plain else type(error).__name__
