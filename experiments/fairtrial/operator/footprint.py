"""What a process that works on hundreds of experiments need not keep in memory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from typing_extensions import override


def leave_pandas_out() -> None:
    """Have pyarrow work without pandas from now on: 60 MB that nothing here is in need of.

    pyarrow imports it, where it is installed, for the first list that it is given; it asks once, and
    remembers. Others may import pandas afterwards.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    absent = _NoPandas()
    sys.meta_path.insert(0, absent)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(absent)


class _NoPandas(MetaPathFinder):
    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "pandas":
            raise ModuleNotFoundError("left out")
        return None
