"""Runtimes that are not ours on the same server: they are served as they are, and their bugs stay inside."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from fairtrial_servers.errors import ModelError
from fairtrial_servers.serving.rest import InferenceApp, answer_errors_in_one_shape
from fairtrial_servers.serving.server import ModelServer
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.settings import CORSSettings, ModelSettings, Settings
from mlserver.types import InferenceRequest, InferenceResponse
from servers.metrics import own_metrics
from starlette.types import ASGIApp

SENT = {"inputs": [{"name": "x", "shape": [2, 1], "datatype": "FP64", "data": [1.5, 2.5]}]}


class Foreign(MLModel):
    """Doubles numbers by MLServer's own codecs, and knows nothing of ours."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        values = self.decode(payload.inputs[0], default_codec=NumpyCodec)
        if values[0, 0] < 0:
            raise RuntimeError("secret detail")
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("y", values * 2)])


class Broken(MLModel):
    async def load(self) -> bool:
        raise KeyError("weights")


@pytest.fixture(scope="module")
def app() -> Iterator[tuple[ModelServer, InferenceApp]]:
    with own_metrics():
        server = ModelServer(Settings(debug=False, parallel_workers=0, gzip_enabled=False))
        asyncio.run(server.load(ModelSettings(name="foreign", implementation=Foreign)))
        answer_errors_in_one_shape(server.app)
        yield server, InferenceApp(server.app, server.inference)


def post(app: ASGIApp, path: str, content: object, headers: dict[str, str] | None = None) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.post(path, json=content, headers=headers)

    return asyncio.run(ask())


def test_a_runtime_of_another_maker_is_served(app):
    answer = post(app[1], "/v2/models/foreign/infer", SENT)
    assert answer.status_code == 200
    assert answer.json()["outputs"][0]["data"] == [3.0, 5.0]


@pytest.mark.parametrize("path", ["/v2/models/foreign/infer", "/v2/models/foreign/generate"])
def test_its_failure_is_an_internal_error_without_details(app, path):
    sent = {"inputs": [{**SENT["inputs"][0], "data": [-1.0, 0.0]}]}
    answer = post(app[1], path, sent)
    assert answer.status_code == 500
    assert list(answer.json()) == ["error"]
    assert "secret" not in answer.text


def test_requests_off_the_short_way_are_refused_in_the_same_shape(app):
    answer = post(app[1], "/v2/models/foreign/generate", {"inputs": 3})
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]


def test_an_id_cannot_add_headers_to_the_answer(app):
    answer = post(app[1], "/v2/models/foreign/infer", {**SENT, "id": "a\r\nx-evil: 1"})
    assert answer.status_code == 400
    assert "x-evil" not in answer.headers


def test_its_failure_to_load_is_told_in_a_sentence(app):
    with pytest.raises(ModelError, match="KeyError: 'weights'"):
        asyncio.run(app[0].load(ModelSettings(name="broken", implementation=Broken)))


def test_packed_answers_and_other_origins_are_had_on_the_short_way_too(app, monkeypatch):
    server = app[0]
    monkeypatch.setattr(server._settings, "gzip_enabled", True)
    monkeypatch.setattr(server._settings, "cors_settings", CORSSettings(allow_origins=["http://there"]))
    many = {"inputs": [{**SENT["inputs"][0], "shape": [2000, 1], "data": [1.5] * 2000}]}
    headers = {"origin": "http://there", "accept-encoding": "gzip"}
    answer = post(server.front(), "/v2/models/foreign/infer", many, headers)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["access-control-allow-origin"] == "http://there"
    assert answer.json()["outputs"][0]["data"] == [3.0] * 2000
