"""The check before packing: a model that is unsafe, or does not load, gets no image."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairtrial_servers.errors import ModelError, ServerError
from fairtrial_servers.launch import resolve
from fairtrial_servers.runtime import Runtime
from fairtrial_servers.safety.signatures import check_signature


def check_model(model: Path, implementation: str, parameters: Mapping[str, str]) -> None:
    """Load the model here as the server will, with the same checks.

    A runtime that is not ours has no check of its own, and is not tried.
    Raises UnsafeModelError, ModelError, and ServerError where the runtime is not installed.
    """
    module, _, name = resolve(implementation).rpartition(".")
    runtime: Any = getattr(importlib.import_module(module), name, None)
    if not (isinstance(runtime, type) and issubclass(runtime, Runtime)):
        return
    from mlserver.settings import ModelSettings

    check_signature(model, parameters)
    try:
        runtime(ModelSettings(name="model", implementation=runtime)).open(model, parameters)
    except ServerError:
        raise
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(f"{model} does not load: {type(error).__name__}: {reason}") from error
