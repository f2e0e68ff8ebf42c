"""A model of Vertex AI, by its own client, against a service that speaks the client's own messages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fairtrial.errors import NotReadyError, UsageError

if TYPE_CHECKING:
    from experiments.registry.vertex_service import ModelService
    from fairtrial.registry.vertex import VertexRegistry

pytestmark = pytest.mark.heavy  # Google's client: fairtrial[vertex]

pytest.importorskip("google.cloud.aiplatform_v1", reason="uv sync --group registries")

MODEL = "projects/wines-42/locations/europe-west4/models/wine"


def named(artifacts: str | None = None, image: str | None = None) -> VertexRegistry:
    from fairtrial.registry.vertex import VertexRegistry

    return VertexRegistry(
        "wine", "champion", project="wines-42", location="europe-west4", artifacts=artifacts, image=image
    )


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """What has been put to Google Storage."""
    from experiments.registry.vertex_service import Storage

    kept: dict[str, bytes] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Kept", (Storage,), {"objects": kept}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_address[1]}")
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def service() -> ModelService:
    from experiments.registry.vertex_service import ModelService

    return ModelService()


@pytest.fixture
def registry(service: ModelService, objects: dict[str, bytes]) -> Iterator[VertexRegistry]:
    import grpc
    from google.cloud.aiplatform_v1.services.model_service import ModelServiceClient
    from google.cloud.aiplatform_v1.services.model_service.transports import ModelServiceGrpcTransport

    server, where = service.serve()
    made = named("gs://models/promoted", "serving:1")
    with grpc.insecure_channel(where) as channel:
        made._models = ModelServiceClient(transport=ModelServiceGrpcTransport(channel=channel))
        yield made
    server.stop(0).wait()


@pytest.fixture
def promoted(registry: VertexRegistry, tmp_path: Path) -> Callable[[str], str]:
    model = tmp_path / "wine" / "data" / "model.onnx"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"not loaded by a registry")
    return lambda run: (
        registry.promote(tmp_path / "wine", run=run, tags={"fairtrial.verdict": "PROMOTE"}).version
    )


def test_a_model_that_is_not_there_yet_has_no_versions_and_no_champion(registry: VertexRegistry):
    registry.check()
    assert registry.versions() == []
    assert registry.holder("champion") is None
    registry.drop("champion")


def test_a_promotion_makes_one_version_for_a_run(
    registry: VertexRegistry,
    promoted: Callable[[str], str],
    service: ModelService,
    objects: dict[str, bytes],
):
    assert promoted("run-1") == promoted("run-1") == "1"
    (version,) = registry.versions()
    assert version.uri == "gs://models/promoted/wine/run-1"
    assert objects == {"models/promoted/wine/run-1/data/model.onnx": b"not loaded by a registry"}
    assert version.tags == {"fairtrial.run": "run-1", "fairtrial.verdict": "PROMOTE"}
    assert version.created == pytest.approx(1795824000.0)
    assert registry.holder("champion") == version == registry.version("1")
    (made,) = service.models[MODEL]
    assert made.container_spec.image_uri == "serving:1"
    assert set(made.version_aliases) == {"default", "champion"}


def test_versions_are_told_newest_first(registry: VertexRegistry, promoted: Callable[[str], str]):
    for run in range(11):  # "10" sorts before "9" as a text
        promoted(f"run-{run}")
    assert [each.version for each in registry.versions()] == [str(n) for n in range(11, 0, -1)]


def test_an_alias_moves_and_is_dropped_any_number_of_times(
    registry: VertexRegistry, promoted: Callable[[str], str], service: ModelService
):
    promoted("run-1")
    promoted("run-2")
    assert registry.move("challenger", "2") is None
    assert registry.move("challenger", "1") == "2"
    asked = len(service.asked)
    assert registry.move("challenger", "1") is None
    assert len(service.asked) == asked + 1  # nothing is set that is so already
    holder = registry.holder("challenger")
    assert holder is not None
    assert holder.version == "1"
    registry.drop("challenger")
    registry.drop("challenger")
    assert registry.holder("challenger") is None
    assert registry.holder("champion") == registry.version("2")


def test_tags_keep_what_people_wrote_of_a_version(
    registry: VertexRegistry, promoted: Callable[[str], str], service: ModelService
):
    version = promoted("run-1")
    (made,) = service.models[MODEL]
    made.version_description = f"Trained by Ada.\n\n{made.version_description}"
    for ledger in ("1:AB", f"2:{'cd' * 32}"):
        registry.tag(version, {"fairtrial.ledger": ledger, "why": '5% better,\nsaid "the judge"'})
    assert registry.version(version).tags == {
        "fairtrial.ledger": f"2:{'cd' * 32}",
        "fairtrial.run": "run-1",
        "fairtrial.verdict": "PROMOTE",
        "why": '5% better,\nsaid "the judge"',
    }
    assert made.version_description.startswith("Trained by Ada.\n\nfairtrial: {")
    assert made.version_description.count("\n") == 2


@pytest.mark.parametrize("edited", ["fairtrial: {", "fairtrial: 5", "fairtrial: the best"])
def test_tags_that_a_person_has_spoilt_are_written_anew(
    registry: VertexRegistry, promoted: Callable[[str], str], service: ModelService, edited: str
):
    version = promoted("run-1")
    service.models[MODEL][0].version_description = edited
    assert registry.version(version).tags == {}
    registry.tag(version, {"a": "b"})
    assert registry.version(version).tags == {"a": "b"}


def test_a_report_stands_beside_the_models_folder(
    registry: VertexRegistry, promoted: Callable[[str], str], objects: dict[str, bytes], tmp_path: Path
):
    version = promoted("run-1")
    objects.clear()
    files = [tmp_path / "verdict.json", tmp_path / "report.html"]
    for text in ("a first attempt", "the last one"):
        for file in files:
            file.write_text(text)
        where = registry.attach(version, files, run="trial-7")
    assert where == "gs://models/promoted/wine/run-1.fairtrial/trial-7"
    key = where.removeprefix("gs://")
    assert objects == {f"{key}/report.html": b"the last one", f"{key}/verdict.json": b"the last one"}


@pytest.mark.parametrize("version", ["9", "champion", ""])
def test_a_version_that_is_not_there_is_said(
    registry: VertexRegistry, promoted: Callable[[str], str], version: str
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
        where = "Vertex AI's model registry of wines-42 in europe-west4"
        assert str(told.value) == f"there is no version {version} of wine in {where}"


def test_a_promotion_needs_a_place_for_the_files_and_an_image(
    service: ModelService, registry: VertexRegistry
):
    bare = named()
    bare._models = registry._models
    with pytest.raises(UsageError, match=r"vertex\.artifacts, as in gs://bucket/models, and vertex\.image"):
        bare.promote(Path("wine"), run="run-1", tags={})
    assert service.models == {}


def test_what_the_service_refuses_is_told_in_words(
    registry: VertexRegistry, promoted: Callable[[str], str], service: ModelService
):
    promoted("run-1")
    with pytest.raises(NotReadyError, match="none is default of wine: 400 -default cannot"):
        registry.drop("default")
    service.denied = True
    with pytest.raises(NotReadyError, match=r"'aiplatform\.models\.update' denied; see"):
        registry.move("champion", "1")


def test_nobodys_credentials_are_told_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    registry = named()
    with pytest.raises(NotReadyError, match=r"cannot be asked for wine: .*none\.json was not found"):
        registry.check()


def test_it_asks_the_service_of_its_region(monkeypatch: pytest.MonkeyPatch):
    from google.auth import credentials

    def default(*_: Any, **__: Any) -> Any:
        return credentials.AnonymousCredentials(), "wines-42"

    monkeypatch.setattr("google.auth.default", default)
    assert named()._models.api_endpoint == "europe-west4-aiplatform.googleapis.com"
