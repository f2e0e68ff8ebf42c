"""What the tensors of a model are: names, datatypes and shapes, as V2 metadata states them.

Nothing of MLServer is imported for it, which batch scoring has no use for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mlserver.types import MetadataTensor

Array = NDArray[Any]

INTEGERS = {name: np.dtype(name.lower()) for name in
             ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")}  # fmt: skip
FLOATS = {"FP16": np.dtype("float16"), "FP32": np.dtype("float32"), "FP64": np.dtype("float64")}
NUMPY = {**INTEGERS, **FLOATS, "BOOL": np.dtype("bool"), "BYTES": np.dtype("object")}
_DATATYPES = {dtype: name for name, dtype in NUMPY.items()}
_BY_NAME = {dtype.name: name for name, dtype in NUMPY.items()}
NUMERIC = frozenset(NUMPY) - {"BYTES"}


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a model, as its metadata states it; -1 stands for any size.

    The first axis is the batch. A numeric input takes every numeric datatype that a client may have,
    and is converted to `datatype`; a number that it does not hold is refused.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]

    def metadata(self, *, any_name: bool = False) -> MetadataTensor:
        """As MLServer states it. any_name: the tensor may be called anything, which is then said as well."""
        from mlserver.types import Datatype, MetadataTensor, Parameters

        content = "str" if self.datatype == "BYTES" else "np"
        return MetadataTensor(
            name=self.name,
            datatype=Datatype(self.datatype),
            shape=list(self.shape),
            parameters=Parameters.model_validate(
                {"content_type": content, **({"any_name": True} if any_name else {})}
            ),
        )


def datatype_of(array: Array) -> str:
    """The V2 datatype in which `array` is answered: that of its dtype, or BYTES for all that has none."""
    # By the dtype itself where that is known: its name is made anew at each look, and costs 6 us.
    return _DATATYPES.get(array.dtype) or _BY_NAME.get(array.dtype.name, "BYTES")
