"""`python -m fairtrial_servers.container`: what a packed image runs.

Serves the model that is in the image, or the one that Seldon's operator mounts, and takes the settings that
the operator (1.17.1) gives in the environment:

- prepackaged servers: MLSERVER_HTTP_PORT, MLSERVER_GRPC_PORT, MLSERVER_MODEL_NAME, MLSERVER_MODEL_URI (always
  /mnt/models, also when nothing is mounted there), MLSERVER_MODEL_IMPLEMENTATION (empty for servers of ours);
- other containers: PREDICTIVE_UNIT_HTTP_SERVICE_PORT, PREDICTIVE_UNIT_GRPC_SERVICE_PORT, PREDICTIVE_UNIT_ID;
- both: PREDICTIVE_UNIT_METRICS_SERVICE_PORT, PREDICTIVE_UNIT_PARAMETERS.

What the image holds is in its FAIRTRIAL_MODEL_* variables. This process becomes `fairtrial_servers.serve`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, cast

from fairtrial_servers.errors import ModelError, ServerError
from fairtrial_servers.formats import detect
from fairtrial_servers.launch import resolve, server_settings
from fairtrial_servers.store.schemes import scheme

#: Where Seldon's operator mounts a model.
MOUNT = "/mnt/models"

_PORTS = {
    "http": ("MLSERVER_HTTP_PORT", "PREDICTIVE_UNIT_HTTP_SERVICE_PORT", 9000),
    "grpc": ("MLSERVER_GRPC_PORT", "PREDICTIVE_UNIT_GRPC_SERVICE_PORT", 9500),
    "metrics": ("MLSERVER_METRICS_PORT", "PREDICTIVE_UNIT_METRICS_SERVICE_PORT", 6000),
}

#: Classes that the operator names for the implementations of its own; here the model's format decides.
_STOCK = frozenset(
    {
        "mlserver_sklearn.SKLearnModel",
        "mlserver_xgboost.XGBoostModel",
        "mlserver_mlflow.MLflowRuntime",
        "mlserver_huggingface.HuggingFaceRuntime",
    }
)


def settings(environment: Mapping[str, str]) -> tuple[dict[str, object], dict[str, Any]]:
    """The contents of settings.json and of model-settings.json. Raises ServerError, ModelError."""
    ports = {kind: _port(environment, *names) for kind, names in _PORTS.items()}
    uri, inside = _model(environment)
    parameters: dict[str, str] = {}
    if inside:
        parameters.update(_object(environment.get("FAIRTRIAL_MODEL_PARAMETERS", "")))
    parameters.update(_parameters(environment.get("PREDICTIVE_UNIT_PARAMETERS", "")))
    name = (
        environment.get("MLSERVER_MODEL_NAME")
        or environment.get("PREDICTIVE_UNIT_ID")
        or environment.get("FAIRTRIAL_MODEL_NAME")
        or "model"
    )
    server = {**server_settings(ports["http"], ports["grpc"], ports["metrics"]), "host": "0.0.0.0"}
    model: dict[str, Any] = {
        "name": name,
        "implementation": _implementation(environment, uri, inside),
        "parameters": {"uri": uri, "extra": parameters},
    }
    return server, model


def _model(environment: Mapping[str, str]) -> tuple[str, bool]:
    """The model's address, and whether it is the one in the image."""
    inside = environment.get("FAIRTRIAL_MODEL_PATH", "")
    said = environment.get("MLSERVER_MODEL_URI", "")
    if said and (scheme(said) or _holds_something(Path(said))):
        return said, said == inside
    if inside and said in ("", MOUNT, inside):
        return inside, True
    raise ModelError(
        f"there is no model at {said or MOUNT}, and none in this image: "
        f"set modelUri, or MLSERVER_MODEL_URI to a path that is mounted"
    )


def _holds_something(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.exists()


def _implementation(environment: Mapping[str, str], uri: str, inside: bool) -> str:
    if inside and environment.get("FAIRTRIAL_MODEL_IMPLEMENTATION"):
        return environment["FAIRTRIAL_MODEL_IMPLEMENTATION"]
    named = environment.get("MLSERVER_MODEL_IMPLEMENTATION", "")
    if named:
        try:
            return resolve(named)
        except ServerError:
            if named not in _STOCK:
                raise
    if scheme(uri):
        raise ServerError(f"MLSERVER_MODEL_IMPLEMENTATION must say which runtime serves {uri}")
    return resolve(detect(Path(uri)).implementation)


def _port(environment: Mapping[str, str], first: str, second: str, usual: int) -> int:
    for variable in (first, second):
        said = environment.get(variable, "")
        if said:
            if not said.isdecimal() or not 0 < int(said) < 65536:
                raise ServerError(f"{variable} is {said!r}: expected a port, 1 to 65535")
            return int(said)
    return usual


def _object(text: str) -> dict[str, str]:
    try:
        said: object = json.loads(text or "{}")
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise ServerError("FAIRTRIAL_MODEL_PARAMETERS must hold a JSON object")
    return {str(key): str(value) for key, value in cast("dict[Any, Any]", said).items()}


def _parameters(text: str) -> dict[str, str]:
    """The operator writes a list of `{"name": ..., "value": ..., "type": ...}`, values as texts."""
    try:
        said: object = json.loads(text or "[]")
        return {str(each["name"]): str(each["value"]) for each in cast("list[dict[str, Any]]", said)}
    except (ValueError, TypeError, KeyError):
        raise ServerError(
            'PREDICTIVE_UNIT_PARAMETERS must hold a list of {"name": ..., "value": ...}'
        ) from None


def _folder() -> str:
    """A folder for the settings; where nothing else can be written to there is shared memory."""
    try:
        return tempfile.mkdtemp(prefix="fairtrial-")
    except OSError:
        try:
            return tempfile.mkdtemp(prefix="fairtrial-", dir="/dev/shm")
        except OSError as error:
            raise ServerError(
                f"nowhere to write settings to: mount a writable /tmp ({error.strerror})"
            ) from error


def main() -> NoReturn:
    try:
        server, model = settings(os.environ)
        folder = Path(_folder())
        for name, content in (("settings.json", server), ("model-settings.json", model)):
            (folder / name).write_text(json.dumps(content), encoding="utf-8")
    except ServerError as error:
        print(f"cannot serve: {error}", file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
    # In place of this process, so that signals reach the server itself.
    os.execv(sys.executable, [sys.executable, "-m", "fairtrial_servers.serve", str(folder)])


if __name__ == "__main__":
    main()
