"""A model of Neptune, by its own client, against the client's own stand-in for the service."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fairtrial.errors import NotReadyError

if TYPE_CHECKING:
    from experiments.registry.neptune_service import Service
    from fairtrial.registry.neptune import NeptuneRegistry

pytestmark = pytest.mark.heavy  # Neptune's client: fairtrial[neptune]

pytest.importorskip("neptune", reason="uv sync --group registries")


def named(model: str = "WIN-WINE") -> NeptuneRegistry:
    from fairtrial.registry.neptune import NeptuneRegistry

    return NeptuneRegistry(
        model, "champion", project="mock-workspace/project-placeholder", address="model/uri"
    )


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    from experiments.registry.neptune_service import Service

    one = Service()
    monkeypatch.setattr("neptune.metadata_containers.metadata_container.get_backend", lambda **_: one)
    return one


@pytest.fixture
def registry(service: Service) -> NeptuneRegistry:
    return named()


@pytest.fixture
def promoted(registry: NeptuneRegistry, tmp_path: Path) -> Callable[[str], str]:
    model = tmp_path / "model.joblib"
    model.write_bytes(b"not loaded by a registry")
    return lambda run: registry.promote(model, run=run, tags={"fairtrial.verdict": "PROMOTE"}).version


def field(service: Service, name: str, path: str) -> str | None:
    """What the service has there."""
    api = service.there[name]
    value = service._get_container(api.id, api.type).get(path.split("/"))
    return None if value is None else value.value


def stages(service: Service) -> dict[str, str | None]:
    return {
        name.removeprefix("WIN-WINE-"): field(service, name, "sys/stage")
        for name in service.there
        if name != "WIN-WINE"
    }


def test_a_model_without_versions_has_no_champion(registry: NeptuneRegistry):
    registry.check()
    assert registry.versions() == []
    assert registry.holder("champion") is None
    registry.drop("champion")


def test_a_promotion_makes_one_version_for_a_run(
    registry: NeptuneRegistry,
    promoted: Callable[[str], str],
    service: Service,
    capfd: pytest.CaptureFixture[str],
):
    assert promoted("run-1") == promoted("run-1") == "1"
    (version,) = registry.versions()
    assert version.tags == {"fairtrial.run": "run-1", "fairtrial.verdict": "PROMOTE"}
    assert version.created == pytest.approx(time.time(), abs=100)
    assert version.uri == ""
    assert registry.holder("champion") == version == registry.version("1")
    assert stages(service) == {"1": "production"}
    assert capfd.readouterr().out == ""  # where --output json prints its one document


def test_a_version_is_where_its_field_says(
    registry: NeptuneRegistry, promoted: Callable[[str], str], service: Service
):
    from neptune.types.atoms import String

    promoted("run-1")
    api = service.there["WIN-WINE-1"]
    service._get_container(api.id, api.type).set(["model", "uri"], String("s3://bucket/wine"))
    assert registry.version("1").uri == "s3://bucket/wine"


def test_the_alias_moves_and_the_stages_with_it(
    registry: NeptuneRegistry, promoted: Callable[[str], str], service: Service
):
    for run in range(1, 12):  # "10" sorts before "9" as a text
        promoted(f"run-{run}")
    assert [each.version for each in registry.versions()] == [str(n) for n in range(11, 0, -1)]
    assert registry.move("challenger", "2") is None
    assert registry.move("champion", "9") == "11"
    assert registry.move("champion", "9") is None
    assert {name for name, stage in stages(service).items() if stage == "production"} == {"9"}
    assert stages(service)["11"] == "archived"
    challenger = registry.holder("challenger")
    assert challenger is not None
    assert challenger.version == "2"
    registry.drop("champion")
    registry.drop("champion")
    assert registry.holder("champion") is None
    assert "production" not in stages(service).values()


def test_a_move_that_was_killed_half_way_is_brought_to_its_end(
    registry: NeptuneRegistry,
    promoted: Callable[[str], str],
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
):
    promoted("run-1")
    promoted("run-2")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(registry, "_stage", killed)
        with pytest.raises(KeyboardInterrupt):
            registry.move("champion", "1")
    assert stages(service) == {"1": "archived", "2": "production"}
    assert registry.move("champion", "1") is None
    assert stages(service) == {"1": "production", "2": "archived"}


def test_tags_are_added_and_names_stay(
    registry: NeptuneRegistry, promoted: Callable[[str], str], service: Service
):
    from neptune.types.atoms import String

    version = promoted("run-1")
    api = service.there["WIN-WINE-1"]
    service._get_container(api.id, api.type).set(["sys", "name"], String("Ada's"))
    for why in ("first", '5% better,\nsaid "the judge"'):
        registry.tag(version, {"why": why})
    assert registry.version(version).tags == {
        "fairtrial.run": "run-1",
        "fairtrial.verdict": "PROMOTE",
        "why": '5% better,\nsaid "the judge"',
    }
    assert field(service, "WIN-WINE-1", "sys/name") == "Ada's"


def test_a_report_is_a_file_of_its_version(
    registry: NeptuneRegistry, promoted: Callable[[str], str], service: Service, tmp_path: Path
):
    version = promoted("run-1")
    report = tmp_path / "report.html"
    report.write_text("<html></html>")
    where = registry.attach(version, [report], run="trial-7")
    assert registry.attach(version, [report], run="trial-7") == where
    assert where == "offline/WIN-WINE-1"
    api = service.there["WIN-WINE-1"]
    assert list(service._get_container(api.id, api.type).get(["fairtrial", "trial-7"])) == ["report.html"]


@pytest.mark.parametrize("version", ["9", "", "WIN-WINE-1"])
def test_a_version_that_is_not_there_is_said(
    registry: NeptuneRegistry, promoted: Callable[[str], str], version: str
):
    promoted("run-1")
    for ask in (
        lambda: registry.version(version),
        lambda: registry.move("champion", version),
        lambda: registry.tag(version, {"a": "b"}),
        lambda: registry.attach(version, [], run="trial"),
    ):
        with pytest.raises(NotReadyError) as told:
            ask()
        where = "Neptune's model registry of mock-workspace/project-placeholder"
        assert str(told.value) == f"there is no version {version} of WIN-WINE in {where}"


@pytest.mark.usefixtures("service")
def test_a_model_that_is_not_there_is_said():
    with pytest.raises(NotReadyError) as told:
        named("WIN-NONE").versions()
    assert "of WIN-NONE: No existing Model was found at mock-workspace/project-p" in str(told.value)


def test_nobodys_token_is_told_in_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NEPTUNE_API_TOKEN", raising=False)
    with pytest.raises(NotReadyError) as told:
        named().check()
    assert str(told.value) == (
        "Neptune's model registry of mock-workspace/project-placeholder cannot be asked for WIN-WINE: The "
        "Neptune client couldn't find your API token; see neptune.project, neptune.model, NEPTUNE_API_TOKEN "
        "and docs/registries.md"
    )
