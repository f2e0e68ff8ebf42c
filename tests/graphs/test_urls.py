"""Arms that somebody else runs: asked whether they answer, and never touched."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fairtrial_graphs.backends.address import Address
from fairtrial_graphs.backends.interface import NotReady, Route, Serving
from fairtrial_graphs.backends.urls import UrlBackend
from fairtrial_graphs.build import Arm, build

_TWO = build("wine", [Arm("v1", "s3://m/1", "SKLEARN_SERVER"), Arm("v2", "s3://m/2", "SKLEARN_SERVER")])


@contextmanager
def v2_server(
    models: dict[str, bool], *, lists: bool = True, token: str | None = None, ready: bool = True
) -> Generator[str]:
    """A V2 server below /base, by what it is asked: `models` are there, and ready or not."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/base/v2/models/").removesuffix("/ready")
            known = self.path.startswith("/base/v2/models/") and name in models
            if self.path.endswith("/ready"):
                self._answer(404 if not ready or not known else 200 if models[name] else 503)
            else:
                self._answer(200 if known else 404)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            there = [{"name": name, "state": "READY" if on else "UNAVAILABLE"} for name, on in models.items()]
            found = lists and self.path == "/base/v2/repository/index"
            self._answer(200 if found else 404, json.dumps(there).encode())

        def _answer(self, status: int, body: bytes = b"{}") -> None:
            asked.append(self.path)
            self.send_response(401 if token and self.headers.get("Authorization") != token else status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/base"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def served(v1: str, v2: str, **options: object) -> Serving:
    backend = UrlBackend({"v1": Address.read(v1), "v2": Address.read(v2)}, **options)  # type: ignore[arg-type]
    return backend.apply(_TWO, Route("step-1"), lambda _: None)


def test_each_arm_is_where_it_was_said_with_the_model_that_it_has() -> None:
    with v2_server({"wine": True}) as lone, v2_server({"v2": True, "other": True}) as several:
        serving = served(lone, several)
        assert {name: (arm.url, arm.model) for name, arm in serving.arms.items()} == {
            "v1": (lone, "wine"),
            "v2": (several, "v2"),
        }
        named = served(f"{lone}/v2/models/wine", f"{several}/v2/models/other")
        assert [arm.model for arm in named.arms.values()] == ["wine", "other"]


def test_a_server_that_lists_no_models_and_has_no_readiness_is_asked_by_the_arms_name() -> None:
    with v2_server({"v1": True, "v2": True}, lists=False, ready=False) as url:
        assert [arm.model for arm in served(url, url).arms.values()] == ["v1", "v2"]


def test_what_is_wrong_with_an_arm_is_told_with_its_address() -> None:
    with v2_server({"wine": True}) as good, v2_server({"a": True, "b": True}) as unclear:
        with pytest.raises(NotReady, match=r"v2 at .*it has a, b\): give http.*/base/v2/models/NAME"):
            served(good, unclear)
        with pytest.raises(NotReady, match="answers 404 when asked whether the model port is ready"):
            served(good, f"{good}/v2/models/port")
    with pytest.raises(NotReady, match=r"v1 at .* does not answer") as raised:
        served(good, good)
    assert raised.value.predictor == "v1"
    with v2_server({"wine": False}) as loading, pytest.raises(NotReady, match="answers 503"):
        served(f"{loading}/v2/models/wine", loading)


def test_credentials_are_sent_as_headers_and_never_told() -> None:
    with v2_server({"wine": True}, token="Bearer secret") as url:
        served(url, url, headers=lambda _: {"Authorization": "Bearer secret"})
        with pytest.raises(NotReady, match="answers 401: it wants credentials") as raised:
            served(url, url, headers=lambda _: {"Authorization": "Bearer other-secret"})
    assert "other-secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "url", "model"),
    [
        ("https://host", "https://host", None),
        ("https://host:8443/", "https://host:8443", None),
        ("http://host/seldon/ns/wine/v2/models/a%20b", "http://host/seldon/ns/wine", "a b"),
    ],
)
def test_an_address_may_name_the_model(text: str, url: str, model: str | None) -> None:
    assert Address.read(text) == Address(url, model)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("host:80", "give an address"),
        ("ftp://host", "give an address"),
        ("http://host:port", "give an address"),
        ("http://me:secret@host", "no password"),
        ("http://host?token=1", "no password"),
        ("http://host/v2/models/", "comes the model's name"),
        ("http://host/v2/models/wine/infer", "comes the model's name"),
    ],
)
def test_what_is_no_address_is_told(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        Address.read(text)
