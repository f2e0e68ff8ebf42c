"""Vertex AI's model service and Google Storage, as far as the registry asks, in the clients' own messages.

The service cannot be reached from a test. This one speaks gRPC and knows of versions what Google documents:
they are numbered from 1, an alias has one version, the first is `default`, and `models/wine@alias` is one.
"""

from __future__ import annotations

import re
from concurrent import futures
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc
from google.cloud.aiplatform_v1 import types
from google.longrunning import operations_pb2

_SERVICE = "google.cloud.aiplatform.v1.ModelService"
_ALIAS = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]")


class ModelService:
    def __init__(self) -> None:
        self.models: dict[str, list[types.Model]] = {}
        self.asked: list[Any] = []
        self.denied = False

    def serve(self) -> tuple[grpc.Server, str]:
        """A server that runs, and where."""
        server = grpc.server(futures.ThreadPoolExecutor(4))
        methods = {
            "GetModel": (self.get_model, types.GetModelRequest),
            "ListModelVersions": (self.list_versions, types.ListModelVersionsRequest),
            "MergeVersionAliases": (self.merge_aliases, types.MergeVersionAliasesRequest),
            "UpdateModel": (self.update, types.UpdateModelRequest),
            "UploadModel": (self.upload, types.UploadModelRequest),
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                self._guarded(method),
                request_deserializer=request.deserialize,
                response_serializer=lambda answer: (
                    answer.SerializeToString()
                    if isinstance(answer, operations_pb2.Operation)
                    else type(answer).serialize(answer)
                ),
            )
            for name, (method, request) in methods.items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        return server, f"127.0.0.1:{port}"

    def _guarded(self, method: Any) -> Any:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            self.asked.append(request)
            if self.denied:
                context.abort(
                    grpc.StatusCode.PERMISSION_DENIED, "Permission 'aiplatform.models.update' denied"
                )
            return method(request, context)

        return answer

    def _version(self, name: str, context: grpc.ServicerContext) -> types.Model:
        model, _, wanted = name.partition("@")
        for version in self.models.get(model, []):
            if wanted == version.version_id or (wanted or "default") in version.version_aliases:
                return version
        context.abort(grpc.StatusCode.NOT_FOUND, f"Model {name} not found.")
        raise AssertionError

    def get_model(self, request: types.GetModelRequest, context: grpc.ServicerContext) -> types.Model:
        return self._version(request.name, context)

    def list_versions(
        self, request: types.ListModelVersionsRequest, context: grpc.ServicerContext
    ) -> types.ListModelVersionsResponse:
        """Two a page."""
        self._version(request.name, context)
        start = int(request.page_token or 0)
        found = self.models[request.name]
        more = str(start + 2) if start + 2 < len(found) else ""
        return types.ListModelVersionsResponse(models=found[start : start + 2], next_page_token=more)

    def merge_aliases(
        self, request: types.MergeVersionAliasesRequest, context: grpc.ServicerContext
    ) -> types.Model:
        version = self._version(request.name, context)
        for alias in request.version_aliases:
            if not _ALIAS.fullmatch(alias.removeprefix("-")) or alias == "-default":
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{alias} cannot be merged")
            for other in self.models[request.name.partition("@")[0]]:
                if alias.removeprefix("-") in other.version_aliases:
                    other.version_aliases.remove(alias.removeprefix("-"))
            if not alias.startswith("-"):
                version.version_aliases.append(alias)
        return version

    def update(self, request: types.UpdateModelRequest, context: grpc.ServicerContext) -> types.Model:
        version = self._version(request.model.name, context)
        for path in request.update_mask.paths:
            setattr(version, path, getattr(request.model, path))
        return version

    def upload(
        self, request: types.UploadModelRequest, context: grpc.ServicerContext
    ) -> operations_pb2.Operation:
        if not request.model.container_spec.image_uri:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "container_spec.image_uri is required")
        name = request.parent_model or f"{request.parent}/models/{request.model_id}"
        versions = self.models.setdefault(name, [])
        if versions and not request.parent_model:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, f"Model {name} exists")
        made = types.Model(request.model)
        made.name = name
        made.version_id = str(len(versions) + 1)
        made.version_create_time = datetime(2026, 11, 28, tzinfo=UTC) + timedelta(seconds=len(versions))
        made.version_aliases = [] if versions else ["default"]
        versions.append(made)
        done = operations_pb2.Operation(name=f"{name}/operations/1", done=True)
        answer = types.UploadModelResponse(model=name, model_version_id=made.version_id)
        done.response.Pack(types.UploadModelResponse.pb(answer))
        return done


class Storage(BaseHTTPRequestHandler):
    """Takes what the client of Google Storage uploads, and keeps it in `objects`: bucket/key -> content."""

    objects: dict[str, bytes]

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        bucket = parts.path.split("/b/")[1].split("/")[0]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        boundary = b"--" + self.headers["Content-Type"].split("boundary=")[1].strip("'\"").encode()
        described, content = (part.split(b"\r\n\r\n", 1)[1] for part in body.split(boundary)[1:3])
        found = re.search(rb'"name": *"([^"]*)"', described)
        name = found[1].decode() if found else parse_qs(parts.query)["name"][0]
        self.objects[f"{bucket}/{name}"] = content.removesuffix(b"\r\n")
        answer = b"{}"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass
