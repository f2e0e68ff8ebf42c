"""What a process with hundreds of experiments need not keep in memory, and what it has open instead."""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from typing_extensions import override

_FILES = 1 << 16


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


def have_many_files_open() -> None:
    """Up to 65,536, as far as it may: what is known of an experiment is on disk once it is large."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _NoPandas(MetaPathFinder):
    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "pandas":
            raise ModuleNotFoundError("left out")
        return None
