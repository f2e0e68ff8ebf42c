"""Keras files, checked before Keras sees them: what their layers are, and where their weights are read from.

A configuration says which class or function of which module each layer is made with, so that other modules,
other functions than a layer needs, and Python code itself (Lambda) are a way to run anything. HDF5 can keep
its data in another file of the machine. Needs h5py and no Keras.
"""

from __future__ import annotations

import importlib
import io
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import h5py

from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.safety.archives import open_archive
from fairtrial_servers.safety.pickles import MAX_UNCOMPRESSED

_h5o: Any = importlib.import_module("h5py.h5o")  # compiled, with no types

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
_ENTRIES = frozenset({CONFIG, WEIGHTS, "metadata.json"})
#: Of `keras` and of `keras.src`: what layers and models are made of.
_MODULES = re.compile(
    r"keras(?:\.src)?(?:\.(?:layers|models|initializers|regularizers|constraints|activations|losses|metrics"
    r"|optimizers|dtype_policies|quantizers|ops|random)(?:\.[a-z][a-z0-9]*(?:_[a-z0-9]+)*)*)?"
)
#: Classes that run code of the file's own, or load a further file.
_REFUSED = {
    "Lambda": "which is Python code",
    "__lambda__": "which is Python code",
    "TFSMLayer": "which loads a further model",
    "JaxLayer": "which is code of another library",
    "FlaxLayer": "which is code of another library",
    "TorchModuleWrapper": "which is code of another library",
    "__typespec__": "which is no layer",
}
_FUNCTIONS_OF_MODELS = frozenset({"load_model", "clone_model", "model_from_json", "save_model", "get",
                                  "load_weights", "deserialize", "serialize"})  # fmt: skip
_INSTEAD = "export the model instead, which leaves the computation alone: model.export(folder)"


def check_keras(file: Path) -> None:
    """Raises ModelError for a damaged file or weights alone, UnsafeModelError for more than Keras' layers."""
    if h5py.is_hdf5(file):
        with _hdf5(file, str(file)) as opened:
            _check_links(opened, str(file), file.stat().st_size)
            text = opened.attrs.get("model_config")
            if text is None:
                raise ModelError(
                    f"{file} holds weights only: save the whole model, model.save('model.keras')"
                )
            _check_config(_json(text, str(file)), str(file))
        return
    with open_archive(file) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        odd = [name for name in names if name not in _ENTRIES and not name.startswith("assets/")]
        if odd:
            raise UnsafeModelError(f"{file} has an entry {odd[0]!r}, which Keras does not write: not loaded")
        missing = sorted({CONFIG, WEIGHTS} - set(names))
        if missing:
            raise ModelError(f"{file} is damaged, or no Keras model: it has no {missing[0]}")
        config = _json(archive.read(CONFIG), f"{file}: {CONFIG}")
        _check_config(config, f"{file}: {CONFIG}")
        where = f"{file}: {WEIGHTS}"
        weights = io.BytesIO(archive.read(WEIGHTS))
        with _hdf5(weights, where) as opened:
            _check_links(opened, where, weights.getbuffer().nbytes)


def _hdf5(source: Path | io.BytesIO, where: str) -> Any:
    try:
        return h5py.File(source, "r")
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{where} is damaged, or not HDF5: {str(error).splitlines()[0]}") from error


def _check_links(file: Any, where: str, size: int) -> None:
    """Nothing is read from another file, and the data fits in memory as it is said to."""
    seen: set[Any] = set()
    total = 0
    ahead: list[Any] = [file]
    try:
        while ahead:
            group = ahead.pop()
            for name in group:
                link = group.get(name, getlink=True)
                if isinstance(link, h5py.ExternalLink):
                    raise UnsafeModelError(f"{where}: {name!r} is a link into the file {link.filename!r}")
                if not isinstance(link, h5py.HardLink):
                    continue  # what a soft link leads to is reached by its own name
                found = group[name]
                place = _h5o.get_info(found.id).addr
                if place in seen:
                    continue
                seen.add(place)
                if isinstance(found, h5py.Group):
                    ahead.append(found)
                elif isinstance(found, h5py.Dataset):
                    if found.external or found.is_virtual:
                        raise UnsafeModelError(f"{where}: the data of {name!r} is kept in another file")
                    total += found.size * found.dtype.itemsize if found.size else 0
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{where} is damaged: {str(error).splitlines()[0]}") from error
    if total > max(MAX_UNCOMPRESSED, size):
        raise UnsafeModelError(f"{where} holds more than {MAX_UNCOMPRESSED / 2**30:.1f} GiB: not loaded")


def _json(text: Any, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelError(f"{where} is damaged: {str(error).splitlines()[0]}") from None


def _check_config(config: Any, where: str) -> None:
    if not isinstance(config, dict) or "class_name" not in config:
        raise ModelError(f"{where} describes no model: it has no class_name")
    # How the model was trained is not loaded, so that a loss of one's own does no harm.
    described = {
        key: value for key, value in cast("dict[str, Any]", config).items() if key != "compile_config"
    }
    try:
        _walk(described, where)
    except RecursionError:
        raise UnsafeModelError(f"{where} is nested too deep to be checked: not loaded") from None


def _walk(value: Any, where: str) -> None:
    if isinstance(value, dict):
        mapping = cast("Mapping[str, Any]", value)
        if "class_name" in mapping:
            _check_object(mapping, where)
        if isinstance(mapping.get("vocabulary"), str):
            raise UnsafeModelError(f"{where} reads its vocabulary from the file {mapping['vocabulary']!r}")
        for inner in mapping.values():
            _walk(inner, where)
    elif isinstance(value, list):
        for inner in cast("Iterable[Any]", value):
            _walk(inner, where)


def _check_object(described: Mapping[str, Any], where: str) -> None:
    kind, module = described["class_name"], described.get("module")
    if not isinstance(kind, str) or not kind.isidentifier():
        raise UnsafeModelError(f"{where} has {kind!r:.80} as the name of a class: not loaded")
    if kind in _REFUSED:
        raise UnsafeModelError(f"{where} has a {kind}, {_REFUSED[kind]}: not loaded; {_INSTEAD}")
    name = described.get("config") if kind == "function" else kind
    if kind == "function" and not (isinstance(name, str) and name.isidentifier()):
        raise UnsafeModelError(f"{where} has {name!r:.80} as the name of a function: not loaded")
    if name in _FUNCTIONS_OF_MODELS:
        raise UnsafeModelError(f"{where} calls {name}, which is no part of a model: not loaded")
    if kind.startswith("__"):
        return  # values that JSON has no form for: tensors, slices, bytes
    registered = described.get("registered_name")
    own = registered in (None, kind, name, f"Keras>{kind}")
    builtin = kind == "function" and module == "builtins"
    known = module is None or builtin or (isinstance(module, str) and _MODULES.fullmatch(module) is not None)
    if not known or not own or (module is None and registered is not None):
        named = f"{module}.{name}" if module else registered
        raise UnsafeModelError(f"{where} refers to {named}, which is not Keras' own: not loaded; {_INSTEAD}")
