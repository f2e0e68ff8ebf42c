"""Folders that MLflow saved with its PyTorch, TensorFlow and Keras flavours: served by what is in them."""

from __future__ import annotations

import asyncio
import warnings

import numpy as np
import pytest
from fairtrial_servers.errors import ModelError
from fairtrial_servers.formats import detect
from fairtrial_servers.mlflow import MLflowRuntime
from mlserver.settings import ModelSettings
from mlserver.types import InferenceRequest
from servers.malformed import tensor

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("default")]

ROWS = np.random.default_rng(0).random((3, 4), np.float32)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def served(path):
    assert detect(path).name == "mlflow"
    settings = ModelSettings(
        name="m",
        implementation="fairtrial_servers.mlflow.MLflowRuntime",
        parameters={"uri": str(path)},
    )
    runtime = MLflowRuntime(settings)
    assert asyncio.run(runtime.load())
    assert asyncio.run(runtime.metadata()).platform == "mlflow"
    request = InferenceRequest.model_validate({"inputs": [tensor(ROWS.ravel().tolist(), ROWS.shape)]})
    return np.array(asyncio.run(runtime.predict(request)).outputs[0].data.root).reshape(len(ROWS), -1)


class TestPyTorch:
    @pytest.fixture
    def model(self):
        torch = pytest.importorskip("torch", reason="needs PyTorch: uv sync --group pytorch")
        return torch.nn.Linear(4, 2).eval()

    def test_an_exported_program_inside_is_served(self, model, tmp_path):
        import mlflow.pytorch
        import torch

        expected = model(torch.from_numpy(ROWS)).detach().numpy()
        signature = mlflow.models.infer_signature(ROWS, expected)
        more = {"serialization_format": "pt2", "input_example": ROWS, "signature": signature}
        mlflow.pytorch.save_model(model, tmp_path / "m", pip_requirements=[], **more)
        assert np.abs(served(tmp_path / "m") - expected).max() <= 1e-6

    def test_a_pickled_module_inside_is_not(self, model, tmp_path):
        import mlflow.pytorch

        mlflow.pytorch.save_model(model, tmp_path / "m", serialization_format="pickle", pip_requirements=[])
        with pytest.raises(ModelError, match=r"torch\.export\.save"):
            served(tmp_path / "m")


def test_a_saved_model_inside_is_served(tmp_path):
    tf = pytest.importorskip("tensorflow", reason="needs TensorFlow: uv sync --group tensorflow")
    import mlflow.tensorflow

    class Twice(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, "x")], autograph=False)
        def __call__(self, x):
            return x * 2

    mlflow.tensorflow.save_model(Twice(), str(tmp_path / "m"), pip_requirements=[])
    assert np.abs(served(tmp_path / "m") - ROWS * 2).max() <= 1e-6


def test_a_keras_model_inside_is_served(tmp_path):
    keras = pytest.importorskip("keras", reason="needs Keras: uv sync --group keras")
    import mlflow.keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    mlflow.keras.save_model(model, str(tmp_path / "m"), pip_requirements=[])
    assert np.abs(served(tmp_path / "m") - np.asarray(model(ROWS))).max() <= 1e-6
