"""The servers that benchmarks/serving.py compares: what each installs, what it runs, what it is asked.

All serve the same estimator, a StandardScaler and a LogisticRegression of 64 features, or its ONNX form. Each
is written as its own documentation has it, with one worker and without access logs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sklearn

_SKLEARN = (f"scikit-learn=={sklearn.__version__}", "joblib")

_FASTAPI = """
import joblib
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load("model.joblib")


class Rows(BaseModel):
    inputs: list[list[float]]


@app.post("/predict")
async def predict(rows: Rows) -> dict[str, list[int]]:
    return {"predict": model.predict(np.array(rows.inputs)).tolist()}
"""

_FASTAPI_ONNX = """
import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession("model.onnx", options, providers=["CPUExecutionProvider"])


class Rows(BaseModel):
    inputs: list[list[float]]


@app.post("/predict")
async def predict(rows: Rows) -> dict[str, list]:
    labels, probabilities = session.run(None, {"X": np.array(rows.inputs, dtype=np.float32)})
    return {"label": labels.tolist(), "probabilities": probabilities.tolist()}
"""

_LITSERVE = """
import joblib
import litserve
import numpy as np


class Api(litserve.LitAPI):
    def setup(self, device):
        self.model = joblib.load("model.joblib")

    def decode_request(self, request):
        return np.array(request["inputs"])

    def predict(self, rows):
        return self.model.predict(rows)

    def encode_response(self, output):
        return {"predict": output.tolist()}


if __name__ == "__main__":
    import sys

    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
"""

_BENTOML = """
import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1)
class Digits:
    def __init__(self) -> None:
        self.model = joblib.load("model.joblib")

    @bentoml.api
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return self.model.predict(inputs)
"""

_KSERVE = """
import sys

import joblib
import kserve


class Digits(kserve.Model):
    def load(self):
        self.model = joblib.load("model.joblib")
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        labels = self.model.predict(payload.inputs[0].as_numpy())
        shape = list(labels.shape)
        output = kserve.InferOutput(name="predict", shape=shape, datatype="INT64", data=labels.tolist())
        return kserve.InferResponse(payload.id or "1", self.name, [output])


if __name__ == "__main__":
    model = Digits("digits")
    model.load()
    kserve.ModelServer(http_port=int(sys.argv[1]), workers=1, enable_grpc=False).start([model])
"""

_MLFLOW = """
import joblib
import mlflow.sklearn

mlflow.sklearn.save_model(joblib.load("model.joblib"), "mlflow_model", serialization_format="cloudpickle")
"""


@dataclass(frozen=True)
class Peer:
    """One server: the packages of its environment (none: this one), its files, and how it is asked."""

    name: str
    path: str
    body: bytes
    argv: Callable[[str, int], list[str]]  # of the environment's bin folder and the port
    packages: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    prepare: tuple[str, ...] = ()  # a script of `files` that is run once before
    env: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def request(self) -> bytes:
        head = f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(self.body)}\r\n\r\n".encode() + self.body


def peers(row: list[float]) -> list[Peer]:
    """All that are compared, asked for one row."""
    plain = json.dumps({"inputs": [row]}).encode()
    tensor: dict[str, Any] = {"name": "X", "shape": [1, len(row)], "datatype": "FP64", "data": row}
    v2 = json.dumps({"inputs": [tensor]}).encode()
    infer = "/v2/models/digits/infer"
    uvicorn = ("fastapi", "uvicorn[standard]")
    mlserver = ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop<0.22", *_SKLEARN)

    def fastapi(bin_: str, port: int) -> list[str]:
        return [f"{bin_}/uvicorn", "app:app", "--port", str(port), "--loop", "uvloop", "--http", "httptools",
                "--no-access-log", "--log-level", "warning"]  # fmt: skip

    def settings(**more: Any) -> str:
        return json.dumps({"debug": False, "host": "127.0.0.1", **more})

    model = json.dumps(
        {"name": "digits", "implementation": "mlserver_sklearn.SKLearnModel",
         "parameters": {"uri": "./model.joblib"}}
    )  # fmt: skip

    def serve(bin_: str, _: int) -> list[str]:
        return [f"{bin_}/mlserver", "start", "."]

    def ours(bin_: str, _: int) -> list[str]:
        return [f"{bin_}/python", "-m", "fairtrial_servers.serve", "settings"]

    best = {"parallel_workers": 0, "metrics_endpoint": None, "gzip_enabled": False}
    return [
        Peer("ours", infer, v2, ours),
        Peer("ours-onnx", infer, v2, ours),
        Peer("fastapi", "/predict", plain, fastapi, (*uvicorn, *_SKLEARN), {"app.py": _FASTAPI}),
        Peer("fastapi-onnx", "/predict", plain, fastapi, (*uvicorn, "onnxruntime", "numpy"),
             {"app.py": _FASTAPI_ONNX}),
        Peer("mlserver", infer, v2, serve, mlserver,
             {"settings.json": settings(), "model-settings.json": model}),
        Peer("mlserver-best", infer, v2, serve, (*mlserver, "httptools"),
             {"settings.json": settings(**best), "model-settings.json": model}),
        Peer("kserve", infer, v2, lambda bin_, port: [f"{bin_}/python", "app.py", str(port)],
             ("kserve", *_SKLEARN), {"app.py": _KSERVE}),
        Peer("litserve", "/predict", plain, lambda bin_, port: [f"{bin_}/python", "app.py", str(port)],
             ("litserve", *_SKLEARN), {"app.py": _LITSERVE}),
        Peer("bentoml", "/predict", plain,
             lambda bin_, port: [f"{bin_}/bentoml", "serve", "service:Digits", "--host", "127.0.0.1",
                                 "--port", str(port)],
             ("bentoml", *_SKLEARN), {"service.py": _BENTOML}, env={"BENTOML_DO_NOT_TRACK": "true"}),
        Peer("mlflow", "/invocations", plain,
             lambda bin_, port: [f"{bin_}/mlflow", "models", "serve", "-m", "mlflow_model", "--env-manager",
                                 "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
             ("mlflow>=3.5,<4", *_SKLEARN), {"save.py": _MLFLOW}, ("save.py",)),
    ]  # fmt: skip
