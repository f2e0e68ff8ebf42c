"""The one way from a request to an answer for our own runtimes, over REST and gRPC alike.

MLServer's data plane does the same for any runtime, by way of pydantic models, middlewares and contexts that
cost more than a small model. Its counters and response headers are kept, under the same names.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from mlserver.cloudevents import CLOUDEVENTS_HEADER_ID, CLOUDEVENTS_HEADER_REQUEST_ID, CloudEventsMiddleware
from mlserver.errors import ModelNotFound, ModelNotReady
from mlserver.handlers import DataPlane
from mlserver.registry import MultiModelRegistry
from mlserver.settings import Settings
from mlserver.types import InferenceResponse

from fairtrial_servers.runtime import Runtime
from fairtrial_servers.serving.messages import Answer, Request

_ID, _REQUEST_ID = CLOUDEVENTS_HEADER_ID.lower(), CLOUDEVENTS_HEADER_REQUEST_ID.lower()


@dataclass(frozen=True, slots=True)
class _Counted:
    """What is kept of a model from request to request: its counters, and the headers of its answers."""

    success: Any
    failure: Any
    duration: Any
    headers: tuple[tuple[str, str], ...]


class Inference:
    """Finds the model and has it answer. `data_plane` lends its counters, which exist once a process."""

    def __init__(self, data_plane: DataPlane, registry: MultiModelRegistry, settings: Settings) -> None:
        self.data_plane = data_plane
        self._registry = registry
        self._middleware = CloudEventsMiddleware(settings)
        self._counted: dict[tuple[str, str | None], _Counted] = {}

    async def find(self, name: str, version: str | None) -> Runtime | None:
        """The model, or None when its runtime is not ours. Raises ModelNotFound, ModelNotReady."""
        model = await self._registry.get_model(name, version)
        if not model.ready:
            raise ModelNotReady(name, version)
        return model if isinstance(model, Runtime) else None

    async def only_name(self) -> str:
        """The name of the one model that is served. Raises ModelNotFound where there is none or a choice."""
        names = {model.name for model in await self._registry.get_models()}
        if len(names) != 1:
            raise ModelNotFound(f"in a path that names none, where {len(names)} are served,")
        return names.pop()

    async def answer(self, runtime: Runtime, version: str | None, request: Request) -> Answer:
        """The model's answer. Raises InferenceError for what the client did wrong, others for all else."""
        counted = self._of(runtime, version)
        begun = perf_counter()
        try:
            outputs, parameters = await runtime.respond(request)
        except Exception:
            counted.failure.inc()
            raise
        finally:
            counted.duration.observe(perf_counter() - begun)
        counted.success.inc()
        return Answer(runtime.name, runtime.version, request.id or new_id(), outputs, parameters)

    def headers(self, runtime: Runtime, version: str | None, request_id: str) -> list[tuple[str, str]]:
        """The CloudEvents headers that MLServer adds to each answer."""
        return [*self._of(runtime, version).headers, (_ID, request_id), (_REQUEST_ID, request_id)]

    def _of(self, runtime: Runtime, version: str | None) -> _Counted:
        key = runtime.name, version
        counted = self._counted.get(key)
        if counted is None:
            bare = InferenceResponse(model_name=runtime.name, outputs=[])
            said = self._middleware.response_middleware(bare, runtime.settings).parameters
            headers = {name.lower(): str(value) for name, value in ((said and said.headers) or {}).items()}
            labels = {"model": runtime.name, "version": version}
            success, failure, duration = (
                getattr(self.data_plane, f"_ModelInferRequest{what}").labels(**labels)
                for what in ("Success", "Failure", "Duration")
            )
            counted = self._counted[key] = _Counted(success, failure, duration, tuple(headers.items()))
        return counted


_random = random.Random()  # seeded by the system; an id is no secret


def new_id() -> str:
    """A random UUID (version 4), at a third of what the library's costs."""
    digits = f"{_random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
