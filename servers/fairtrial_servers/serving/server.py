"""MLServer as one model needs it: its own app, data plane and services, started and stopped to the second.

What differs from `mlserver start`, and why:
- ports are taken before the model is loaded, the model is loaded before anything answers, and each failure
  has one sentence (MLServer goes on serving nothing, or ends with exit code 0);
- every refusal is `{"error": ...}` with 400, where FastAPI answers 422 with a list, and no client's error
  is logged as a traceback;
- the per-request Prometheus middleware is left out (40 us a request); MLServer's own request counters and
  durations stay, on the metrics port;
- uvicorn leaves the process's signals alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator
from typing import Any

import uvicorn
from mlserver import MLServer
from mlserver.metrics import MetricsServer
from mlserver.model import MLModel
from mlserver.registry import MultiModelRegistry
from mlserver.rest import RESTServer
from mlserver.settings import ModelSettings, Settings
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp

from fairtrial_servers.errors import ModelError, ServerError
from fairtrial_servers.gate import check_before_load
from fairtrial_servers.runtime import Runtime
from fairtrial_servers.serving.grpc_service import GrpcService
from fairtrial_servers.serving.inference import Inference
from fairtrial_servers.serving.options import MAX_BODY
from fairtrial_servers.serving.rest import InferenceApp, answer_errors_in_one_shape

#: Seconds that requests in flight have to finish when the server is told to stop.
DRAIN = 2


class _Uvicorn(uvicorn.Server):
    """uvicorn without hands on the process's signals: two of these run in one process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class _Rest(RESTServer):
    @property
    def app(self) -> Any:
        return self._app


class _Metrics(MetricsServer):
    @property
    def app(self) -> Any:
        return self._app


class ModelServer(MLServer):
    """One MLServer for one model: `load`, `serve`, then `finish`.

    max_body: bytes that the body of a REST request may have.
    """

    def __init__(self, settings: Settings, max_body: int = MAX_BODY) -> None:
        super().__init__(settings)
        self._max_body = max_body

    def _add_signal_handlers(self) -> None:
        """The process has handlers of its own (serve.py)."""

    def _create_model_registry(self) -> MultiModelRegistry:
        registry: Any = super()._create_model_registry()
        initialise = registry._model_initialiser

        def checked(settings: ModelSettings) -> MLModel:
            check_before_load(settings)
            return initialise(settings)

        # Every load goes through here, those that a client asks for by the repository's API included.
        registry._model_initialiser = checked
        return registry

    def _create_servers(self) -> None:
        # Without the endpoint MLServer installs no middleware; the metrics port is served here.
        quiet = self._settings.model_copy(
            # These two stand in front of the short way for inference requests as well (`serve`).
            update={"metrics_endpoint": None, "gzip_enabled": False, "cors_settings": None}
        )
        parts = (quiet, self._data_plane, self._model_repository_handlers)
        self._inference = Inference(self._data_plane, self._model_registry, self._settings)
        self._rest = self._rest_server = _Rest(*parts)
        self._grpc = self._grpc_server = GrpcService(quiet, self._inference, self._model_repository_handlers)
        self._kafka_server = None
        self._web: list[_Uvicorn] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def app(self) -> Any:
        """MLServer's own ASGI app."""
        return self._rest.app

    @property
    def inference(self) -> Inference:
        """The way to the model that REST and gRPC share."""
        return self._inference

    async def load(self, model: ModelSettings) -> None:
        """Load the model. Raises ModelError whatever the runtime's own error was."""
        try:
            loaded = await self._model_registry.load(model)
        except ServerError:
            raise
        except Exception as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ModelError(f"{type(error).__name__}: {reason}") from error
        if isinstance(loaded, Runtime):
            self._settings.extensions = [*self._settings.extensions, "binary_tensor_data"]

    async def serve(self, http: socket.socket, metrics: socket.socket) -> None:
        """Begin to answer, on sockets that are bound; returns once all ports do.

        Raises ServerError when the gRPC port is taken.
        """
        self._grpc.bind()
        await self._grpc.server.start()
        answer_errors_in_one_shape(self.app)
        apps: list[tuple[ASGIApp, socket.socket]] = [(self.front(), http)]
        if self._settings.metrics_endpoint:
            apps.append((_Metrics(self._settings).app, metrics))
        for app, listener in apps:
            web = _Uvicorn(
                uvicorn.Config(
                    app,
                    root_path=self._settings.root_path,
                    access_log=False,
                    log_config=None,
                    ws="none",
                    proxy_headers=False,
                    server_header=False,
                    lifespan="off",
                    timeout_graceful_shutdown=DRAIN,
                )
            )
            self._web.append(web)
            self._tasks.append(asyncio.create_task(web.serve(sockets=[listener])))
        while not all(web.started for web in self._web):
            for task in self._tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.005)

    def front(self) -> ASGIApp:
        """What answers on the REST port: the short way, MLServer's app behind it, middlewares around both."""
        front: ASGIApp = InferenceApp(self.app, self.inference, self._max_body)
        if self._settings.gzip_enabled:
            front = GZipMiddleware(front)
        if self._settings.cors_settings is not None:
            front = CORSMiddleware(front, **self._settings.cors_settings.model_dump())
        return front

    async def finish(self) -> None:
        """Let requests in flight finish, for DRAIN seconds at most, and close all ports."""
        for web in self._web:
            web.should_exit = True
        await asyncio.gather(self._grpc.server.stop(DRAIN), *self._tasks)
