"""MLServer's gRPC service, where a request that cannot be read is the client's error and not the server's."""

from __future__ import annotations

import logging
import struct
from typing import Any

import grpc
from mlserver.errors import InferenceError, MLServerError, ModelNotFound
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.converters import ModelInferResponseConverter
from mlserver.grpc.dataplane_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from mlserver.grpc.model_repository import ModelRepositoryServicer
from mlserver.grpc.model_repository_pb2_grpc import add_ModelRepositoryServiceServicer_to_server
from mlserver.grpc.server import GRPCServer
from mlserver.grpc.servicers import InferenceServicer
from mlserver.handlers import ModelRepositoryHandlers
from mlserver.settings import Settings
from mlserver.types import InferenceRequest

from fairtrial_servers.errors import ServerError
from fairtrial_servers.runtime import check_id
from fairtrial_servers.serving.grpc_messages import to_request, to_response
from fairtrial_servers.serving.inference import Inference

#: What this names is answered in place of the message's own model.
MODEL_METADATA = "x-fairtrial-model"

logger = logging.getLogger("fairtrial.servers")

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    422: grpc.StatusCode.FAILED_PRECONDITION,
}
_INTERNAL = "internal error; the server's log says more"


class _Servicer(InferenceServicer):
    def __init__(self, inference: Inference, repository: ModelRepositoryHandlers) -> None:
        super().__init__(inference.data_plane, repository)
        self._inference = inference

    async def ModelInfer(
        self, request: pb.ModelInferRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> Any:
        try:
            return await self._infer(request, context)
        except MLServerError as error:
            code, sentence = _CODES.get(error.status_code, grpc.StatusCode.UNKNOWN), str(error)
        except Exception:
            logger.exception("an inference request failed")
            code, sentence = grpc.StatusCode.INTERNAL, _INTERNAL
        return await context.abort(code, sentence)

    async def _infer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        name, version = _model_name(request, context), request.model_version or None
        raw = bool(request.raw_input_contents)
        runtime = await self._inference.find(name, version)
        if runtime is None:
            result = await self._data_plane.infer(self._InsertHeaders(request, context), name, version)
            self._SetTrailingMetadata(result, context)
            return ModelInferResponseConverter.from_types(result, use_raw=raw)
        answer = await self._inference.answer(runtime, version, to_request(request))
        context.set_trailing_metadata(tuple(self._inference.headers(runtime, version, answer.id)))
        return to_response(answer, raw)

    def _InsertHeaders(self, request: pb.ModelInferRequest, context: Any) -> InferenceRequest:
        check_id(request.id)
        try:
            return super()._InsertHeaders(request, context)
        except (ValueError, KeyError, IndexError, struct.error) as error:
            # Raw contents of the wrong length, a datatype that does not exist, parameters of the wrong type.
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InferenceError(f"the request cannot be read: {reason}") from error

    async def ModelMetadata(
        self, request: pb.ModelMetadataRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> Any:
        request.name = _model_name(request, context)
        return await super().ModelMetadata(request, context)

    async def ModelReady(
        self, request: pb.ModelReadyRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> Any:
        request.name = _model_name(request, context)
        try:
            return await super().ModelReady(request, context)
        except ModelNotFound as error:  # MLServer leaves it to gRPC, which calls it unknown
            await context.abort(grpc.StatusCode.NOT_FOUND, str(error))


def _model_name(request: Any, context: Any) -> str:
    """The model that is asked: a proxy that splits calls over arms says it in the metadata."""
    for key, value in context.invocation_metadata() or ():
        if key == MODEL_METADATA:
            return value
    return request.model_name if isinstance(request, pb.ModelInferRequest) else request.name


class _NotOurs(logging.Filter):
    """Drops what MLServer logs, with a traceback, for each request that it refuses."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not isinstance(record.msg, MLServerError)


class GrpcService(GRPCServer):
    """The V2 and repository services on one port, which nobody else may share."""

    server: grpc.aio.Server

    def __init__(self, settings: Settings, inference: Inference, repository: ModelRepositoryHandlers) -> None:
        super().__init__(settings, inference.data_plane, repository)
        self._inference = inference

    def bind(self) -> None:
        """Take the port. Raises ServerError when it is taken."""
        # By default gRPC lets a second server share the port, and requests would go to either.
        self.server = grpc.aio.server(options=[*self._get_options(), ("grpc.so_reuseport", 0)])
        add_GRPCInferenceServiceServicer_to_server(
            _Servicer(self._inference, self._model_repository_handlers), self.server
        )
        add_ModelRepositoryServiceServicer_to_server(
            ModelRepositoryServicer(self._model_repository_handlers), self.server
        )
        logging.getLogger("mlserver.grpc").addFilter(_NotOurs())
        host, port = self._settings.host, self._settings.grpc_port
        try:
            bound = self.server.add_insecure_port(f"{host}:{port}")
        except RuntimeError:
            bound = 0
        if not bound:
            raise ServerError(
                f"the gRPC port {port} on {host} is taken: choose another, or end what listens there"
            )
