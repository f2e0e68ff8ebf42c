"""What a scikit-learn model file may refer to.

A pickle runs whatever callables it names, so the question is which names an honest fitted estimator needs.
A whole package is no answer: `numpy` holds `f2py.crackfortran.myeval` (eval), `_core._ufunc_reconstruct`
(any attribute of any module) and `memmap` (overwrites files); `scipy.stats` distributions exec a string
of their state. Admitted are therefore:

- a short list of exact names: containers, and the functions that rebuild arrays, dtypes and generators;
- *classes* that scikit-learn itself defines, and those of scipy's sparse, interpolate and spatial;
- what Cython writes to rebuild those (`__pyx_unpickle_*`, `newObj`), scores and metrics, numpy's ufuncs.

They only build values from values, so that no combination of them reaches anything else.
Whoever keeps estimators of their own names their modules as trusted; only what those modules define
themselves is admitted, not what they import.
"""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np

_BUILTINS = ("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object",
             "range", "set", "slice", "str", "tuple")  # fmt: skip

EXACT: frozenset[tuple[str, str]] = frozenset(
    [
        *((module, name) for module in ("builtins", "__builtin__") for name in _BUILTINS),
        *((module, "_reconstructor") for module in ("copyreg", "copy_reg")),
        *(("collections", name) for name in ("OrderedDict", "defaultdict", "Counter", "deque")),
        ("_codecs", "encode"),  # how protocol 2 writes bytes
        ("functools", "partial"),  # of a callable that is admitted itself
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
        *((f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")),
        *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
        ("numpy.ma", "MaskedArray"),
        ("numpy.ma.core", "MaskedArray"),
        ("numpy.ma.core", "_mareconstruct"),
        ("numpy.random._pickle", "__randomstate_ctor"),
        ("numpy.random._pickle", "__generator_ctor"),
        ("numpy.random._pickle", "__bit_generator_ctor"),
        *((f"numpy.random._{kind.lower()}", kind) for kind in ("MT19937", "PCG64", "Philox", "SFC64")),
        ("numpy.random.bit_generator", "SeedSequence"),
        ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"),
        # A column selection written as `frame.columns`.
        ("pandas", "Index"),
        ("pandas", "StringDtype"),
        ("pandas.arrays", "ArrowStringArray"),
        ("pandas.core.indexes.base", "Index"),
        ("pandas.core.indexes.base", "_new_Index"),
        *(("pyarrow.lib", name) for name in ("_restore_array", "py_buffer", "type_for_alias")),
        ("scipy._lib.array_api_compat.numpy._aliases", "asarray"),  # in a SplineTransformer
        ("sklearn.utils.validation", "check_array"),  # in a HistGradientBoosting model with categories
    ]
)  # fmt: skip

_CLASSES_OF = ("sklearn", "scipy.sparse", "scipy.interpolate", "scipy.spatial")
_FUNCTIONS_OF = ("sklearn.metrics", "sklearn.feature_selection")
_UFUNCS_OF = ("numpy", "scipy.special")
# Parts of scikit-learn with no place in a fitted estimator: downloads, file output, vendored and test code.
_NEVER = frozenset({"datasets", "externals", "tests", "conftest", "_testing", "_mocking", "_export",
                    "_build_utils", "__main__"})  # fmt: skip


def admits(module: str, name: str, trusted: frozenset[str] = frozenset()) -> bool:
    """Whether a model file may refer to `module.name`; `trusted` are modules whose own names are admitted.

    Imports the module when the answer depends on what the name stands for: scientific packages listed
    above and trusted ones, never another. Raises ImportError or AttributeError when it does not exist.
    """
    if (module, name) in EXACT:
        return True
    if _within(module, trusted):
        found = _attribute(importlib.import_module(module), name)
        return _within(str(getattr(found, "__module__", "")), trusted)
    if not name.isidentifier() or not _NEVER.isdisjoint(module.split(".")):
        return False  # a dotted name walks through attributes: sklearn.base + "os.system"
    if _within(module, _CLASSES_OF):
        return _is_harmless(getattr(importlib.import_module(module), name), name)
    if module in _UFUNCS_OF or module == "numpy.dtypes":
        found = getattr(importlib.import_module(module), name)
        return isinstance(found, np.ufunc) or (
            isinstance(found, type) and issubclass(found, np.generic | np.dtype)
        )
    return False


def _is_harmless(found: object, name: str) -> bool:
    home = str(getattr(found, "__module__", ""))
    if isinstance(found, type):
        return _within(home, _CLASSES_OF)
    if name.startswith("__pyx_unpickle_") or name == "newObj":
        return True
    return callable(found) and not isinstance(found, ModuleType) and _within(home, _FUNCTIONS_OF)


def _attribute(module: ModuleType, path: str) -> object:
    found: object = module
    for part in path.split("."):
        found = getattr(found, part)
    return found


def _within(module: str, packages: tuple[str, ...] | frozenset[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)
