"""Rows that nobody has: made up from what a model says of its inputs, the same for the same seed.

Numbers are from a standard normal distribution, whole numbers from 0 to 9, texts a few words. What they mean
to a model is unknown, so that they have no right answer: they measure how fast it answers, and whether.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from fairtrial_loadtests.dataset import Dataset
from fairtrial_loadtests.errors import BadLoadError
from fairtrial_loadtests.payload import Encoder, encoder_for
from fairtrial_loadtests.plan import Generate, LoadPlan
from fairtrial_loadtests.v2 import ModelMetadata, TensorSpec

_PURPOSE = 5  # of the generator, beside those of a schedule
_MOST = 1 << 22  # numbers in a request
_WORDS = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel")

_Make: TypeAlias = "Callable[[np.random.Generator, int], NDArray[np.generic] | list[str]]"
_MAKERS: Mapping[str, _Make] = {
    "FP": lambda random, n: random.standard_normal(n).round(6),
    "INT": lambda random, n: random.integers(0, 10, n),
    "UINT": lambda random, n: random.integers(0, 10, n),
    "BOOL": lambda random, n: random.integers(0, 2, n).astype(np.bool_),
    "BYTES": lambda random, n: [_WORDS[word] for word in random.integers(0, len(_WORDS), n).tolist()],
}


class Generated:
    """Stands where a `Dataset` does: rows without targets and users."""

    name = "what is generated"
    targets = None
    units = None

    def __init__(self, generate: Generate, seed: int) -> None:
        self.rows = generate.rows
        self._size = generate.size
        self._seed = seed

    def encoder(self, arm: str, metadata: ModelMetadata) -> Encoder:
        """Makes requests for a model. Raises BadLoadError if it does not say enough of what it takes."""
        if not metadata.inputs:
            raise BadLoadError(
                f"The model of arm {arm!r} does not say what it takes, so that no request can be generated: "
                "give rows by `requests.data`."
            )
        return _Encoder(metadata.inputs, [self._input(arm, spec) for spec in metadata.inputs], self._seed)

    def _input(self, arm: str, spec: TensorSpec) -> tuple[bytes, _Make, int]:
        make = _MAKERS.get(spec.datatype.rstrip("0123456789"))
        if make is None:
            raise BadLoadError(
                f"The model of arm {arm!r} takes {spec.datatype} as {spec.name!r}, which cannot be made up: "
                "give rows by `requests.data`."
            )
        shape = [1 if i == 0 and n < 0 else n for i, n in enumerate(spec.shape)] or [1]
        if min(shape) < 0:
            if self._size is None:
                raise BadLoadError(
                    f"The model of arm {arm!r} takes {spec.name!r} in the shape {list(spec.shape)}, which "
                    "leaves open how many: say by `requests.generate.size` what is to stand for -1."
                )
            shape = [self._size if n < 0 else n for n in shape]
        if math.prod(shape) > _MOST:
            raise BadLoadError(
                f"The model of arm {arm!r} takes {math.prod(shape):,} numbers as {spec.name!r}, "
                "which is too much to generate."
            )
        head = orjson.dumps({"name": spec.name, "shape": shape, "datatype": spec.datatype})
        return head[:-1] + b',"data":', make, math.prod(shape)


class _Encoder:
    def __init__(
        self, specs: tuple[TensorSpec, ...], inputs: list[tuple[bytes, _Make, int]], seed: int
    ) -> None:
        self._specs = specs
        self._inputs = inputs
        self._seed = seed

    def suits(self, sent: Encoder) -> bool:
        return isinstance(sent, _Encoder) and sent._specs == self._specs

    def encode(self, row: int) -> bytes:
        # By the place of an input, not by its name: two arms that call it otherwise get the same.
        random = np.random.default_rng([self._seed, _PURPOSE, row])
        made = [
            head + orjson.dumps(make(random, size), option=orjson.OPT_SERIALIZE_NUMPY) + b"}"
            for head, make, size in self._inputs
        ]
        return b'{"inputs":[' + b",".join(made) + b"]}"


#: What a load sends.
Rows: TypeAlias = Dataset | Generated


def rows_of(plan: LoadPlan) -> Rows:
    """The rows that a plan names. Raises BadLoadError if they cannot be read."""
    requests = plan.requests
    return Dataset(requests) if requests.generate is None else Generated(requests.generate, plan.seed)


def encoder_of(arm: str, metadata: ModelMetadata, rows: Rows) -> Encoder:
    """The encoder that suits a model. Raises BadLoadError if the rows are not what it takes."""
    if isinstance(rows, Generated):
        return rows.encoder(arm, metadata)
    return encoder_for(arm, metadata, rows)
