"""Which names a pickle of each kind may refer to, and what is known of those that it may not.

What is admitted is a list for each format: scikit-learn's is the policy of the loader itself, those of
torch, XGBoost and LightGBM are fixed names. picklescan's list of dangerous names is a second opinion:
it overrules ours, and no module that is allowed as a whole covers what it knows to be dangerous.
"""

from __future__ import annotations

import io
import re
import warnings
from functools import lru_cache

from picklescan.scanner import SafetyLevel, scan_pickle_bytes

from fairtrial_servers.safety.policy import EXACT, admits
from fairtrial_servers.safety.scan.content import Role

_BOOSTERS = frozenset(
    [
        *(("xgboost.sklearn", f"XGB{kind}") for kind in
          ("Model", "Classifier", "Regressor", "Ranker", "RFClassifier", "RFRegressor")),
        ("xgboost.core", "Booster"),
        ("xgboost.callback", "EarlyStopping"),
        *(("lightgbm.sklearn", f"LGBM{kind}") for kind in ("Model", "Classifier", "Regressor", "Ranker")),
        ("lightgbm.basic", "Booster"),
    ]
)  # fmt: skip
# How joblib writes an array; what follows it in the stream is examined as joblib reads it.
ARRAY_WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")

_STORAGES = [
    f"{kind}Storage"
    for kind in [
        "BFloat16",
        "Bool",
        "Byte",
        "Char",
        "ComplexDouble",
        "ComplexFloat",
        "Double",
        "Float",
        "Half",
        "Int",
        "Long",
        "QInt32",
        "QInt8",
        "QUInt2x4",
        "QUInt4x2",
        "QUInt8",
        "Short",
    ]
]
_DTYPES = [
    "bfloat16",
    "bool",
    "complex128",
    "complex64",
    "float16",
    "float32",
    "float64",
    "float8_e4m3fn",
    "float8_e5m2",
    "int16",
    "int32",
    "int64",
    "int8",
    "qint32",
    "qint8",
    "quint8",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
]
_REBUILD = [
    "meta_tensor_no_storage",
    "nested_tensor",
    "parameter",
    "parameter_with_state",
    "qtensor",
    "sparse_tensor",
    "tensor",
    "tensor_v2",
    "tensor_v3",
]
_TORCH = frozenset(
    [
        *(("torch", name) for name in (*_STORAGES, *_DTYPES, "device", "Size", "Tensor", "strided")),
        *(("torch._utils", f"_rebuild_{name}") for name in _REBUILD),
        *(("torch.storage", name) for name in ("TypedStorage", "UntypedStorage")),
        ("torch._tensor", "_rebuild_from_type_v2"),
        ("torch.nn.parameter", "Parameter"),
        ("torch.serialization", "_get_layout"),
        *(("torch.jit._pickle", f"build_{kind}") for kind in
          ("intlist", "doublelist", "boollist", "tensorlist", "tensor_from_id")),
        ("torch.jit._pickle", "restore_type_tag"),
    ]
)  # fmt: skip
# Layers of a module that was saved whole: classes, which hold parameters and call nothing by name.
_LAYERS = re.compile(
    r"torch\.nn\.modules\.(activation|batchnorm|container|conv|dropout|flatten|instancenorm|linear|"
    r"normalization|padding|pooling|rnn|sparse|transformer|upsampling)"
)

#: Admitted here though picklescan lists it: it calls what it is given, and that is a name that was checked.
_OVERRULED = frozenset([("functools", "partial")])

_WHY = {
    "runs commands": "os posix nt subprocess pty commands popen2 pexpect asyncio multiprocessing",
    "runs code that comes with the file": "code codeop cloudpickle dill marshal types runpy timeit pdb bdb "
    "profile cProfile trace doctest test",
    "imports whatever it is given": "importlib pkgutil imp zipimport pydoc site",
    "reaches over the network": "socket ssl urllib http httplib requests aiohttp ftplib smtplib imaplib "
    "poplib telnetlib webbrowser xmlrpc httpx urllib3 socketserver",
    "changes files": "shutil pathlib tempfile io _io fileinput tarfile zipfile distutils logging",
    "loads another file unchecked": "pickle _pickle joblib pandas shelve dbm sqlite3",
    "reaches any attribute of any object": "operator _operator",
    "calls native code": "ctypes cffi _ctypes",
    "installs software": "pip ensurepip venv setuptools",
}
_BY_MODULE = {module: why for why, modules in _WHY.items() for module in modules.split()}
_BUILTINS = {
    **dict.fromkeys(("eval", "exec", "compile", "execfile", "breakpoint"), "runs code"),
    **dict.fromkeys(
        ("getattr", "setattr", "delattr", "vars", "globals"), "reaches any attribute of any object"
    ),
    **dict.fromkeys(("open", "file", "input"), "opens files"),
    "__import__": "imports whatever it is given",
}


def admitted(module: str, name: str, role: Role) -> bool:
    """Whether a pickle that is read as `role` says may refer to `module.name`.

    Raises LookupError for a name of scikit-learn or its kin that this machine's version does not have.
    """
    pair = (module, name)
    if pair not in _OVERRULED and dangerous(module, name):
        return False
    if role is Role.SCRIPT:
        # TorchScript's own interpreter reads these: its types are compiled from the file, never imported.
        return module.startswith("__torch__") or pair in _TORCH or pair in EXACT
    if role is Role.TORCH:
        layer = _LAYERS.fullmatch(module) and re.fullmatch(r"[A-Z]\w*", name)
        return pair in _TORCH or pair in EXACT or bool(layer)
    if pair in _BOOSTERS or pair == ARRAY_WRAPPER:
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return admits(module, name)
    except (ImportError, AttributeError):
        raise LookupError(f"{module}.{name}") from None


@lru_cache(maxsize=4096)
def dangerous(module: str, name: str) -> bool:
    """Whether picklescan knows `module.name` to be dangerous."""
    parts = [text.encode("utf-8", "surrogatepass") for text in (module, name)]
    written = b"".join(b"X" + len(part).to_bytes(4, "little") + part for part in parts)
    said = scan_pickle_bytes(io.BytesIO(b"\x80\x04" + written + b"\x93."), "name")
    return said.scan_err or any(found.safety is SafetyLevel.Dangerous for found in said.globals)


def why_not(module: str, name: str) -> str:
    """What a refused name is known for, as the end of a sentence."""
    if module == "__main__":
        return (
            "which is defined in the very script that trained the model: move it to a module of its own, "
            "and name that module"
        )
    top = module.partition(".")[0]
    if top in ("builtins", "__builtin__"):
        known = _BUILTINS.get(name.partition(".")[0])
    elif top in ("numpy", "torch", "keras", "tensorflow", "sklearn", "scipy", "xgboost", "lightgbm"):
        known = "reaches beyond the model" if dangerous(module, name) else None
    else:
        known = _BY_MODULE.get(top) or ("is known to run code" if dangerous(module, name) else None)
    return f"which {known}: no model needs it" if known else "which no model of its kind needs"
