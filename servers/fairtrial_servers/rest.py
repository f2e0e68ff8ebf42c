"""The REST side of MLServer: a short way for inference requests, and one shape for every error.

An inference request costs FastAPI more than a small model: routing, dependencies, and each body checked
twice. `InferenceApp` stands in front of MLServer's app and hands such requests to MLServer's own data plane
(middlewares, counters and the model's context included); everything else goes on to the app as it was.
"""

from __future__ import annotations

import gzip
import json
import logging
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from mlserver.errors import InferenceError, MLServerError
from mlserver.handlers import DataPlane
from mlserver.types import InferenceRequest
from mlserver.utils import extract_headers, insert_headers
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from fairtrial_servers.runtime import check_id

logger = logging.getLogger("fairtrial.servers")

_INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
_INTERNAL = "internal error; the server's log says more"


class InferenceApp:
    """ASGI: answers `POST /v2/models/NAME[/versions/VERSION]/infer`, and leaves the rest to `app`."""

    def __init__(self, app: ASGIApp, data_plane: DataPlane) -> None:
        self._app = app
        self._data_plane = data_plane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            found = _INFER.fullmatch(scope["path"])
            if found:
                status, body, headers = await self._infer(scope, receive, found[1], found[2])
                await _answer(send, status, body, headers)
                return
        await self._app(scope, receive, send)

    async def _infer(
        self, scope: Scope, receive: Receive, name: str, version: str | None
    ) -> tuple[int, bytes, Mapping[str, str]]:
        try:
            headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
            body = await _body(receive, headers.get("content-encoding"))
            # The body is JSON whatever its content type says: curl calls it a form.
            request = insert_headers(InferenceRequest.model_validate_json(body), headers)
            check_id(request.id)
            response = await self._data_plane.infer(request, name, version)
            answer = extract_headers(response)
            return 200, response.model_dump_json().encode(), answer or {}
        except ValidationError as error:
            return 400, _error(describe(error.errors())), {}
        except MLServerError as error:
            return error.status_code, _error(str(error)), {}
        except ClientDisconnect:
            return 400, b"", {}  # nobody reads it
        except Exception:
            logger.exception("an inference request failed")
            return 500, _error(_INTERNAL), {}


async def _body(receive: Receive, encoding: str | None) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    if encoding == "gzip":
        try:
            return gzip.decompress(body)
        except (OSError, EOFError, zlib.error) as error:
            raise InferenceError(f"the body says it is gzip, but is not: {error}") from error
    return body


async def _answer(send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    pairs = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    pairs += [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in headers.items()]
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
    first = next(iter(errors))
    message = f"{first['msg'][:1].lower()}{first['msg'][1:]}"
    if first["type"] in ("json_invalid", "json_type"):
        return f"the body is not valid JSON: {first.get('ctx', {}).get('error', message)}"
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "the body"
    return f"{where}: {message}"
