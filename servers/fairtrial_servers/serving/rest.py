"""The REST side of MLServer: a short way for inference requests, and one shape for every error.

An inference request costs FastAPI more than a small model: routing, dependencies, and each body checked
twice. `InferenceApp` stands in front of MLServer's app and answers such requests itself: those to our own
runtimes by `Inference`, those to others by MLServer's data plane. Everything else goes on to the app.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from mlserver.errors import MLServerError
from mlserver.types import InferenceRequest
from mlserver.utils import extract_headers, insert_headers
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from fairtrial_servers.runtime import Runtime, check_id
from fairtrial_servers.serving.binary import HEADER, read_binary, to_binary, wants_binary
from fairtrial_servers.serving.bodies import TooLargeError, check_length, limited, read_body
from fairtrial_servers.serving.inference import Inference
from fairtrial_servers.serving.messages import to_json
from fairtrial_servers.serving.options import MAX_BODY

logger = logging.getLogger("fairtrial.servers")

# The executor of an inference graph that names no model asks for /v2/models/infer.
_INFER = re.compile(r"/v2/models/(?:([^/]+)(?:/versions/([^/]+))?/)?infer")
_MODEL = r"/v2/models/[^/]+(?:/versions/[^/]+)?"
_READ = re.compile(rf"/v2|/v2/health/(?:live|ready)|{_MODEL}(?:/ready)?")
_INTERNAL = "internal error; the server's log says more"
_JSON, _BYTES = b"application/json", b"application/octet-stream"
_BINARY = HEADER.encode()

Headers = list[tuple[bytes, bytes]]


class InferenceApp:
    """ASGI: answers `POST /v2/models/NAME[/versions/VERSION]/infer`, and leaves the rest to `app`."""

    def __init__(self, app: ASGIApp, inference: Inference, max_body: int = MAX_BODY) -> None:
        self._app = app
        self._inference = inference
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        root: str = scope.get("root_path", "")
        if root:
            path = path.removeprefix(root)
        found = _INFER.fullmatch(path)
        method = scope["method"]
        if found and method == "POST":
            await _answer(send, *await self._infer(scope, receive, found[1], found[2]))
        elif method == "OPTIONS" and (found or _READ.fullmatch(path)):
            allowed = b"POST, OPTIONS" if found else b"GET, HEAD, OPTIONS"
            await _answer(send, 204, b"", [(b"allow", allowed)])
        elif found and not (found[1] is None and method in ("GET", "HEAD")):  # a model may be called "infer"
            sentence = f"{method} is not allowed here: inference requests are sent by POST"
            await _answer(send, 405, _error(sentence), [(b"allow", b"POST, OPTIONS")])
        else:
            await self._pass_on(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            # The app knows GET only; the server leaves out the body.
            scope = {**scope, "method": "GET"}
        try:
            check_length(dict(scope["headers"]).get(b"content-length"), self._max_body)
            await self._app(scope, limited(receive, self._max_body), send)
        except TooLargeError as error:
            await _answer(send, 413, _error(str(error)), [(b"connection", b"close")])

    async def _infer(
        self, scope: Scope, receive: Receive, name: str | None, version: str | None
    ) -> tuple[int, bytes, Headers]:
        try:
            headers = dict(scope["headers"])
            check_length(headers.get(b"content-length"), self._max_body)
            encoding = headers.get(b"content-encoding")
            body = await read_body(receive, encoding.decode("latin-1") if encoding else None, self._max_body)
            name = name or await self._inference.only_name()
            runtime = await self._inference.find(name, version)
            if runtime is None:
                return await self._infer_by_mlserver(scope, body, name, version)
            return await self._infer_by_ours(runtime, version, body, headers.get(_BINARY))
        except ValidationError as error:
            return 400, _error(describe(error.errors())), []
        except MLServerError as error:
            # What is left of a body that is too large is not read: the connection ends with the answer.
            more = [(b"connection", b"close")] if error.status_code == 413 else []
            return error.status_code, _error(str(error)), more
        except ClientDisconnect:
            return 400, b"", []  # nobody reads it
        except Exception:
            logger.exception("an inference request failed")
            return 500, _error(_INTERNAL), []

    async def _infer_by_ours(
        self, runtime: Runtime, version: str | None, body: bytes, json_length: bytes | None
    ) -> tuple[int, bytes, Headers]:
        # The body is JSON whatever its content type says: curl calls it a form.
        request = read_binary(body, json_length.decode("latin-1") if json_length is not None else None)
        binary = wants_binary(request)
        answer = await self._inference.answer(runtime, version, request)
        said = self._inference.headers(runtime, version, answer.id)
        headers = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in said]
        if not binary:
            return 200, to_json(answer), headers
        content, length = to_binary(answer, binary)
        headers += [(_BINARY, b"%d" % length), (b"content-type", _BYTES)]
        return 200, content, headers

    async def _infer_by_mlserver(
        self, scope: Scope, body: bytes, name: str, version: str | None
    ) -> tuple[int, bytes, Headers]:
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        request = insert_headers(InferenceRequest.model_validate_json(body), headers)
        check_id(request.id)
        response = await self._inference.data_plane.infer(request, name, version)
        said = (extract_headers(response) or {}).items()
        answered = [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in said]
        return 200, response.model_dump_json().encode(), answered


async def _answer(send: Send, status: int, body: bytes, headers: Headers) -> None:
    pairs = [*headers, (b"content-length", b"%d" % len(body))] if status != 204 else headers
    if body and not any(key == b"content-type" for key, _ in headers):
        pairs.append((b"content-type", _JSON))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _error(sentence: str) -> bytes:
    return json.dumps({"error": sentence}).encode()


def answer_errors_in_one_shape(app: FastAPI) -> None:
    """Every error of the app becomes `{"error": <sentence>}`: 400 for a bad request, never a traceback."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _internal)


async def _invalid(_: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    return JSONResponse({"error": describe(found)}, 400)


async def _http(_: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return JSONResponse({"error": str(error.detail)}, error.status_code, headers=error.headers)
    return JSONResponse({"error": _INTERNAL}, 500)


async def _internal(_: Request, __: Exception) -> Response:
    return JSONResponse({"error": _INTERNAL}, 500)


def describe(errors: Iterable[Any]) -> str:
    """The first of pydantic's findings in a sentence: where it is, and what is wrong with it."""
    first: Mapping[str, Any] = next(iter(errors))
    message = f"{first['msg'][:1].lower()}{first['msg'][1:]}"
    if first["type"] in ("json_invalid", "json_type"):
        return f"the body is not valid JSON: {first.get('ctx', {}).get('error', message)}"
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "the body"
    return f"{where}: {message}"
