"""The example that a TorchScript module was traced with, as its file tells of it. Runs nothing.

`torch.jit.trace` leaves `traced_inputs.pkl` in the archive: the tensors' types and sizes, without values.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

_DATATYPES = {"FloatStorage": "FP32", "DoubleStorage": "FP64", "HalfStorage": "FP16", "BoolStorage": "BOOL",
              "LongStorage": "INT64", "IntStorage": "INT32", "ShortStorage": "INT16", "CharStorage": "INT8",
              "ByteStorage": "UINT8"}  # fmt: skip


class _Tensor(NamedTuple):
    datatype: str
    shape: tuple[int, ...]


class _Reader(pickle.Unpickler):
    """Reads tensors as their type and shape; every name but those of tensors ends in an error."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, _offset, size, *_: _Tensor(storage, tuple(map(int, size)))
        if (module, name) == ("torch.jit._pickle", "restore_type_tag"):
            return lambda value, _tag: value
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch" and name in _DATATYPES:
            return _DATATYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        return pid[1]


def traced_inputs(file: Path) -> tuple[tuple[str, tuple[int, ...]], ...] | None:
    """Datatype and shape of each tensor that `forward` was traced with; None where the file does not tell."""
    with zipfile.ZipFile(file) as archive:
        found = [name for name in archive.namelist() if name.endswith("/traced_inputs.pkl")]
        if not found:
            return None
        data = archive.read(found[0])
    try:
        inputs = _Reader(io.BytesIO(data)).load()["forward"]
    except Exception:  # noqa: BLE001  an aid only: what it does not tell must be said by the owner
        return None
    if not isinstance(inputs, list) or not all(isinstance(each, _Tensor) for each in inputs):
        return None
    return tuple((each.datatype, each.shape) for each in inputs)
