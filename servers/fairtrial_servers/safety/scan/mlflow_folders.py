"""MLmodel, the file that says how MLflow loads a folder: modules that are imported, code that is added."""

from __future__ import annotations

from typing import Any, cast

import yaml

from fairtrial_servers.safety.scan.content import Content, Yielded
from fairtrial_servers.safety.scan.packed import leaves

_LIMIT = 16 << 20
_FLAVOURS = [
    "catboost",
    "keras",
    "lightgbm",
    "onnx",
    "paddle",
    "pmdarima",
    "prophet",
    "pytorch",
    "sentence_transformers",
    "sklearn",
    "spacy",
    "spark",
    "statsmodels",
    "tensorflow",
    "transformers",
    "xgboost",
]
_LOADERS = frozenset(f"mlflow.{flavour}" for flavour in _FLAVOURS)
_PICKLERS = frozenset({"mlflow.pytorch.pickle_module", "pickle", "cloudpickle", "torch.serialization"})
#: Keys whose value is a path in the folder.
_PATHS = frozenset(
    [
        "code",
        "data",
        "keras_module_path",
        "model_binary",
        "model_code_path",
        "model_data",
        "model_path",
        "pickled_model",
        "python_model",
        "saved_model_dir",
        "state_dict",
    ]
)


def check(content: Content) -> Yielded:
    try:
        said: Any = yaml.safe_load(content.whole(_LIMIT))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        yield content.damaged(f"it is no YAML: {str(error).splitlines()[0]}")
        return
    flavours = said.get("flavors") if isinstance(said, dict) else None
    if not isinstance(flavours, dict):
        yield content.damaged("it names no flavors")
        return
    for flavour, details in flavours.items():
        if isinstance(details, dict):
            yield from _check_flavour(content, str(flavour), cast("dict[str, Any]", details))


def _check_flavour(content: Content, flavour: str, details: dict[str, Any]) -> Yielded:
    loader = details.get("loader_module")
    if loader is not None and loader not in _LOADERS:
        yield content.unsafe(
            f"is loaded by the module {loader}", "which is none of MLflow's own loaders", str(loader)
        )
    for key in ("model_code_path", "code_path"):
        if details.get(key):
            yield content.unsafe(f"has {details[key]!r} run", "and a model is data", str(details[key]))
    for key, value in details.items():
        if key in _PATHS and isinstance(value, str) and leaves(value):
            yield content.unsafe(
                f"names {value!r} as {flavour}'s {key}", "which is outside the model's folder"
            )


def check_pickle_module(content: Content) -> Yielded:
    """The name of the module that unpickles a torch model of MLflow: it is imported."""
    name = content.whole(_LIMIT).decode("utf-8", "replace").strip()
    if name not in _PICKLERS:
        yield content.unsafe(f"has the module {name[:100]!r} imported", "which is none that unpickles", name)
