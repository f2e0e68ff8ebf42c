"""What a Keras configuration makes Keras build: code by a Lambda, classes and functions by their module."""

from __future__ import annotations

from typing import Any

from fairtrial_servers.safety.scan.content import Content, Yielded

_CODE = {
    "Lambda": "which runs Python code that comes with the file",
    "__lambda__": "which runs Python code that comes with the file",
    "TFSMLayer": "which loads another model from any place on the machine",
    "TorchModuleWrapper": "which unpickles what comes with the file",
    "JaxLayer": "which runs functions that come with the file",
    "FlaxLayer": "which runs functions that come with the file",
}
_PARTS = [
    "activations",
    "backend",
    "constraints",
    "distribution",
    "dtype_policies",
    "engine",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "ops",
    "optimizers",
    "random",
    "regularizers",
]
_BASES = [
    "keras",
    "keras.src",
    "keras.api",
    "tf_keras",
    "tf_keras.src",
    "tensorflow.keras",
    "tensorflow.python.keras",
]
_MODULES = frozenset(f"{base}.{part}" for base in _BASES for part in _PARTS)
_LOOKUPS = frozenset({"StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup"})


def check(content: Content, document: Any) -> Yielded:
    """Every part of a configuration, however deep. `document` is parsed JSON."""
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
            kind = value.get("class_name")
            if isinstance(kind, str):
                yield from _check_object(content, kind, value)


def _check_object(content: Content, kind: str, said: dict[str, Any]) -> Yielded:
    last = kind.replace(">", ".").rpartition(".")[2]
    if last in _CODE:
        yield content.unsafe(
            f"has a layer {last}" if last != "__lambda__" else "has a lambda", _CODE[last], last
        )
        return
    module = said.get("module")
    if isinstance(module, str) and module and not _is_own(module, said):
        full = f"{module}.{kind if kind != 'function' else said.get('config')}"
        yield content.unsafe(f"refers to {full}", "which is none of Keras's own layers", full)
    config = said.get("config")
    if last in _LOOKUPS and isinstance(config, dict):
        vocabulary = config.get("vocabulary")
        if isinstance(vocabulary, str) and vocabulary:
            yield content.unsafe(
                f"would read {vocabulary!r} as a vocabulary", "and a model reads nothing outside its own file"
            )


def _is_own(module: str, said: dict[str, Any]) -> bool:
    """Whether Keras finds what is named in modules that hold layers and the like, and no others."""
    if module in ("keras", "tensorflow.keras", "tf_keras"):
        return str(said.get("class_name")).isidentifier()
    if module == "builtins":  # how Keras writes functions of its own, and containers
        return said.get("class_name") in (
            "function",
            "slice",
            "tuple",
            "list",
            "dict",
            "range",
            "ellipsis",
            "set",
        )
    parts = module.split(".")
    return any(".".join(parts[:length]) in _MODULES for length in range(2, len(parts) + 1))
