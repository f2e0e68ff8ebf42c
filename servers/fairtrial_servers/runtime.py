"""What every runtime does alike: find the files, say what the model takes, check, predict, answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, cast

from mlserver import MLModel
from mlserver.errors import InferenceError
from mlserver.settings import ModelSettings
from mlserver.types import InferenceRequest, InferenceResponse, RequestInput
from mlserver.types import Parameters as Described

from fairtrial_servers.models import Model
from fairtrial_servers.safety.signatures import check_signature
from fairtrial_servers.serving import content_types
from fairtrial_servers.serving.answer_cache import AnswerCache
from fairtrial_servers.serving.batching import Batcher
from fairtrial_servers.serving.cached_values import model_digest
from fairtrial_servers.serving.messages import Parameters, Request, Tensor, Wanted
from fairtrial_servers.serving.options import batching_of, caching_of
from fairtrial_servers.store import fetch
from fairtrial_servers.tensor_specs import Array, TensorSpec
from fairtrial_servers.tensors import decode, encode

logger = logging.getLogger("fairtrial.servers")


class Runtime(Model, MLModel):
    """Base of our MLServer runtimes. A runtime implements `open` and `infer`; the rest is here."""

    platform: ClassVar[str]  # what the model metadata calls the framework

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        # MLServer would batch requests before they are checked: it is told not to, and we do.
        self._batch_settings = settings.max_batch_size, settings.max_batch_time
        settings.max_batch_size = 0
        self._batcher: Batcher | None = None
        self._cache: AnswerCache | None = None

    def has_independent_rows(self) -> bool:
        """Whether the rows of several requests can be put together as those of one."""
        signature = self._signature
        return all(spec.shape[:1] == (-1,) for spec in (*signature.inputs, *signature.outputs))

    async def load(self) -> bool:
        parameters = self.settings.parameters
        uri = parameters.uri if parameters else None
        extra = parameters.extra if parameters else None
        # Relative addresses are resolved where the server is launched; here only the working folder is left.
        path = fetch(uri or "", Path.cwd())
        said = {key: str(value) for key, value in (extra or {}).items()}
        batching, caching = batching_of(said, *self._batch_settings), caching_of(said)
        check_signature(path, said)
        self.prepare(path, said)
        if caching:
            kind = f"{type(self).__module__}.{type(self).__name__}"
            self._cache = AnswerCache(caching, self.name, model_digest(path, kind, said))
        if batching and not self.has_independent_rows():
            logger.warning("this model takes a fixed number of rows: max_batch_size is of no use to it")
        elif batching:
            self._batcher = Batcher(self.infer, batching)
        # MLServer reads the platform from the settings, whatever the attribute of the runtime says.
        self.settings.platform = self.platform
        lone = len(self._signature.inputs) == 1  # clients call it what they like
        self.inputs = [spec.metadata(any_name=lone) for spec in self._signature.inputs]
        self.outputs = [spec.metadata() for spec in self._signature.outputs]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """What MLServer calls, for what does not come by way of `inference.Inference`."""
        outputs, parameters = await self.respond(_request(payload))
        # Not validated again, for what is in it was made here. The id is MLServer's to set.
        response = InferenceResponse.model_construct(
            model_name=self.name,
            model_version=self.version,
            outputs=[encode(name, array) for name, array in outputs],
        )
        if parameters:
            response.parameters = Described.model_validate(parameters)
        return response

    async def respond(self, request: Request) -> tuple[list[tuple[str, Array]], Parameters]:
        """The outputs that were asked for, in order, and the parameters of the answer.

        Raises InferenceError for what the client did wrong.
        """
        check_id(request.id)
        content_types.apply(request)
        names = self._wanted(request.outputs)
        # As far as `decode` looks they are RequestInputs.
        inputs = self.decode_inputs(cast("list[RequestInput]", request.inputs))
        if self._cache is None:
            answers = await self._infer(inputs, names)
            return [(name, answers[name]) for name in names], {}
        key = self._cache.key(inputs, names, request.parameters)
        kept = await self._cache.get(key)
        if kept is not None and all(name in kept for name in names):
            return [(name, kept[name]) for name in names], {"cached": True}
        answers = await self._infer(inputs, names)
        self._cache.put(key, answers)
        return [(name, answers[name]) for name in names], {}

    async def _infer(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        if self._batcher is None:
            return self.infer(inputs, outputs)
        return await self._batcher.infer(inputs, outputs)

    async def unload(self) -> bool:
        if self._cache is not None:
            await self._cache.close()
        return await super().unload()

    def decode_inputs(self, tensors: Sequence[RequestInput]) -> dict[str, Array]:
        """The request's tensors as arrays by input name. Raises InferenceError.

        A model with one input takes one tensor of any name, as clients call it what they like.
        """
        specs = self._signature.inputs
        if len(specs) == 1:
            if len(tensors) != 1:
                raise InferenceError(f'expected one input, "{specs[0].name}", got {len(tensors)}')
            return {specs[0].name: decode(tensors[0], specs[0])}
        arrays = decode_named(tensors, specs)
        check_rows(arrays)
        return arrays

    def _wanted(self, outputs: Sequence[Wanted] | None) -> list[str]:
        if not outputs:
            return list(self._signature.defaults)
        offered = [spec.name for spec in self._signature.outputs]
        names = list(dict.fromkeys(output.name for output in outputs))
        for name in names:
            if name not in offered:
                raise InferenceError(f'unknown output "{name}": this model gives {", ".join(offered)}')
        return names


def _request(payload: InferenceRequest) -> Request:
    """MLServer's request as ours."""
    return Request(
        inputs=[
            Tensor(
                entry.name,
                list(entry.shape),
                str(getattr(entry.datatype, "value", entry.datatype)),
                _dump(entry.parameters),
                getattr(entry.data, "root", entry.data),
            )
            for entry in payload.inputs
        ],
        outputs=[Wanted(entry.name, _dump(entry.parameters)) for entry in payload.outputs or ()],
        id=payload.id,
        parameters=_dump(payload.parameters),
    )


def _dump(parameters: Described | None) -> Parameters | None:
    return parameters.model_dump() if parameters is not None else None


def decode_named(
    tensors: Sequence[RequestInput], specs: Sequence[TensorSpec], *, missing: bool = False
) -> dict[str, Array]:
    """One array for each of `specs`, found by name. Raises InferenceError."""
    sent = by_name(tensors, specs)
    return {spec.name: decode(sent[spec.name], spec, missing=missing) for spec in specs}


def by_name(tensors: Sequence[RequestInput], specs: Sequence[TensorSpec]) -> dict[str, RequestInput]:
    """The tensor for each of `specs`, and no other. Raises InferenceError."""
    sent: dict[str, RequestInput] = {}
    for tensor in tensors:
        if tensor.name in sent:
            raise InferenceError(f'input "{tensor.name}" is there twice')
        sent[tensor.name] = tensor
    wanted = [spec.name for spec in specs]
    lacking = [name for name in wanted if name not in sent]
    unknown = [name for name in sent if name not in wanted]
    if lacking or unknown:
        wrong = [f"missing: {_some(lacking)}"] * bool(lacking) + [f"unknown: {_some(unknown)}"] * bool(
            unknown
        )
        raise InferenceError(f"expected the inputs {_some(wanted)}; {'; '.join(wrong)}")
    return sent


def check_rows(arrays: Mapping[str, Array]) -> None:
    """Raise InferenceError unless all have as many rows."""
    rows = {name: len(array) for name, array in arrays.items()}
    if len(set(rows.values())) > 1:
        first = next(iter(rows))
        other = next(name for name in rows if rows[name] != rows[first])
        raise InferenceError(
            f'the inputs differ in rows: "{first}" has {rows[first]}, "{other}" has {rows[other]}'
        )


def _some(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def check_id(request_id: str | None) -> None:
    """Raise InferenceError for an id that would break the answer: MLServer sends it back as a header."""
    if request_id and not (request_id.isascii() and request_id.isprintable()):
        raise InferenceError("the request's id must be printable ASCII, for it is sent back as a header")
