"""Keras models, as .keras and .h5, on TensorFlow and on JAX: in process and on a real server."""

from __future__ import annotations

import asyncio
import importlib.util

import numpy as np
import pytest
from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.formats import detect
from mlserver.errors import InferenceError
from mlserver.settings import ModelSettings
from mlserver.types import InferenceRequest
from servers.malformed import check_served, tensor

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.filterwarnings("default"),  # TensorFlow's and Keras' own, of their parts among themselves
]
keras = pytest.importorskip("keras", reason="needs Keras and JAX: uv sync --group keras")

BACKEND = keras.backend.backend()
ROWS = np.random.default_rng(0).random((20, 64), np.float32)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    made = keras.Sequential(
        [
            keras.Input((64,), name="pixels"),
            keras.layers.Dense(16, "relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(10, "softmax", name="probabilities"),
        ]
    )
    made.compile("adam", "sparse_categorical_crossentropy")
    made.fit(ROWS, np.arange(20) % 10, epochs=1, verbose=0)
    return made


@pytest.fixture(scope="module")
def expected(model):
    return np.asarray(model.predict(ROWS, verbose=0))


def load(path, **parameters):
    from fairtrial_servers.keras import KerasRuntime

    settings = ModelSettings(
        name="m",
        implementation="fairtrial_servers.keras.KerasRuntime",
        parameters={"uri": str(path), "extra": {"backend": BACKEND, **parameters}},
    )
    runtime = KerasRuntime(settings)
    assert asyncio.run(runtime.load())
    return runtime


def ask(runtime, *tensors):
    return asyncio.run(runtime.predict(InferenceRequest.model_validate({"inputs": list(tensors)}))).outputs


@pytest.mark.parametrize(("suffix", "backend"), [("keras", "tensorflow"), ("h5", "jax")])
def test_a_model_gives_the_librarys_predictions_and_refuses_in_words(
    model, expected, start, tmp_path, suffix, backend
):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}")
    path = tmp_path / f"model.{suffix}"
    model.save(path)
    known = detect(path)
    assert known.name == detect(tmp_path).name == "keras"
    served = start(path, implementation=known.servers[0], parameters={"backend": backend}).wait_ready()
    answers = {"probabilities": expected}
    check_served(served, platform="keras", source="pixels", rows=ROWS, answers=answers)


def test_inputs_and_outputs_by_name(tmp_path):
    number, kind = keras.Input((2,), name="number"), keras.Input((1,), dtype="int32", name="kind")
    known = keras.layers.Flatten()(keras.layers.Embedding(5, 2, embeddings_initializer="ones")(kind))
    total = keras.layers.Add()([keras.ops.relu(number), known])
    path = tmp_path / "model.keras"
    keras.Model({"b": number, "a": kind}, {"total": total, "known": known}).save(path)
    runtime = load(path)
    stated = {each.name: (each.datatype, each.shape) for each in runtime.inputs}
    assert stated == {"number": ("FP32", [-1, 2]), "kind": ("INT32", [-1, 1])}
    sent = (tensor([3], [1, 1], "INT64", "kind"), tensor([-1, 2], [1, 2], "FP32", "number"))
    answers = {each.name: each.data.root for each in ask(runtime, *sent)}
    assert answers == {"known": [1, 1], "total": [1, 3]}
    with pytest.raises(InferenceError, match="missing: kind"):
        ask(runtime, sent[1])


def test_a_lambda_is_refused_and_the_way_around_it_said(tmp_path):
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x * 2)]).save(path)
    with pytest.raises(UnsafeModelError, match=r"Lambda, which is Python code.*model\.export"):
        load(path)


def test_a_class_of_ones_own_is_refused(tmp_path):
    @keras.saving.register_keras_serializable("mine")
    class Twice(keras.layers.Layer):
        def call(self, x):
            return x * 2

    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((2,)), Twice()]).save(path)
    with pytest.raises(UnsafeModelError, match=r"Twice|mine"):
        load(path)


def test_honest_layers_of_many_kinds_pass(tmp_path):
    layers = keras.layers
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(
        4, 3, kernel_regularizer=keras.regularizers.L2(0.01), activation=keras.activations.gelu
    )(x)
    x = layers.LeakyReLU()(layers.LayerNormalization()(layers.MaxPooling2D()(x)))
    x = layers.Reshape((9, 4))(x)
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True))(x)
    x = layers.MultiHeadAttention(2, 2)(x, x)
    x = layers.TimeDistributed(layers.Dense(2, kernel_constraint="non_neg"))(x)
    x = keras.ops.mean(x, axis=1)
    model = keras.Model(image, layers.Activation("softmax", name="out")(x))
    path = tmp_path / "model.keras"
    model.save(path)
    rows = np.random.default_rng(1).random((2, 8, 8, 3), np.float32)
    answer = ask(load(path), tensor(rows.ravel().tolist(), rows.shape))[0]
    assert answer.shape == [2, 2]
    assert np.abs(np.array(answer.data.root) - np.asarray(model(rows)).ravel()).max() <= 1e-6


def test_a_backend_that_is_not_there_is_named(tmp_path, model):
    model.save(tmp_path / "model.keras")
    with pytest.raises(ModelError, match="one of tensorflow, jax, torch, not 'mxnet'"):
        load(tmp_path / "model.keras", backend="mxnet")
