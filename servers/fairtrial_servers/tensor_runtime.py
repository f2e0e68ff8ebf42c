"""What runtimes of tensor programs have in common: inputs by name, rows, threads, a first prediction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from mlserver.errors import InferenceError
from mlserver.types import RequestInput

from fairtrial_servers.errors import ModelError
from fairtrial_servers.runtime import Runtime, check_rows, decode_named
from fairtrial_servers.tensor_specs import NUMPY, Array, TensorSpec, datatype_of
from fairtrial_servers.tensors import decode

logger = logging.getLogger("fairtrial.servers")

#: Two sizes for open axes, tried in turn until a model takes both: rows, then pixels of an image.
_SIZES = ((2, 3), (32, 33), (224, 225))


class TensorRuntime(Runtime):
    """A runtime whose model takes tensors by name, each with a batch of its own size or none."""

    #: What the metadata calls the very kind of file, where the platform has several.
    kind: str | None = None

    async def load(self) -> bool:
        ready = await super().load()
        self.settings.platform = self.kind or self.platform
        return ready

    def decode_inputs(self, tensors: Sequence[RequestInput]) -> dict[str, Array]:
        specs = self._signature.inputs
        if len(specs) == 1 and len(tensors) == 1:
            return {specs[0].name: decode(tensors[0], specs[0])}
        arrays = decode_named(tensors, specs)
        batched = [spec.name for spec in specs if spec.shape[:1] == (-1,)]
        check_rows({name: arrays[name] for name in batched})
        return arrays


def parse_threads(parameters: Mapping[str, str]) -> int:
    """The parameter `threads`, of one prediction; 1 unless said. Raises ModelError."""
    said = parameters.get("threads", "1")
    if not (said.isdecimal() and 1 <= int(said) <= 1024):
        raise ModelError(f'the parameter "threads" is a whole number from 1 to 1024, not {said!r}')
    return int(said)


def made_up(spec: TensorSpec, size: int = 1) -> Array:
    """An input that fits `spec`, of zeros or empty strings; open axes are `size` long."""
    shape = [size if axis == -1 else axis for axis in spec.shape]
    return np.full(shape, "" if spec.datatype == "BYTES" else 0, dtype=NUMPY[spec.datatype])


def observed_outputs(
    run: Callable[[Mapping[str, Array]], Mapping[str, Array]], inputs: Sequence[TensorSpec]
) -> tuple[TensorSpec, ...]:
    """The outputs of a model that does not state them: what it answers for made-up inputs of two sizes.

    An axis whose length differs between the two is open. Raises ModelError where it answers none.
    """
    refusal = ""
    for sizes in _SIZES:
        try:
            small, large = (run({spec.name: made_up(spec, size) for spec in inputs}) for size in sizes)
        except InferenceError as error:
            refusal = refusal or str(error)
            continue
        return tuple(_seen(name, array, large[name]) for name, array in small.items())
    raise ModelError(
        f"the model does not run on zeros of the shapes that its inputs are said to have: {refusal}"
    )


#: Lines around what TensorFlow has to say.
_AROUND = ("Graph execution error", "Detected at node", "<stack traces", "File ", "[[", "defined at")


def reason(error: Exception) -> str:
    """The line of a library's words that says what is wrong, without the node in braces that it blames."""
    lines = [line.strip() for line in str(getattr(error, "message", None) or error).splitlines()]
    telling = [line for line in lines if line and not line.startswith(_AROUND)]
    if not telling:
        return type(error).__name__
    return telling[0].rpartition("}}")[2].strip() or telling[0]


def _seen(name: str, small: Array, large: Array) -> TensorSpec:
    if small.ndim != large.ndim:
        raise ModelError(
            f'the output "{name}" has {small.ndim} axes or {large.ndim}, by the size of the input'
        )
    shape = tuple(a if a == b else -1 for a, b in zip(small.shape, large.shape, strict=True))
    return TensorSpec(name, datatype_of(small), shape)
