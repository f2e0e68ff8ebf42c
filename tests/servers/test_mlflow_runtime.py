"""Folders that a real MLflow saved: served under the names of their signature, and never by its loader."""

from __future__ import annotations

import asyncio
import warnings
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
import yaml
from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.formats import detect
from fairtrial_servers.mlflow import MLflowRuntime
from mlserver.errors import InferenceError
from mlserver.settings import ModelSettings
from mlserver.types import InferenceRequest
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame(RANDOM.random((60, 3)), columns=["area", "rooms", "age"])
MATRIX = FRAME.to_numpy()
LABELS = (FRAME["area"] > 0.5).astype(int)


@pytest.fixture(scope="module")
def mlflow():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow
        import mlflow.onnx
        import mlflow.sklearn
    return mlflow


@pytest.fixture
def save(mlflow, tmp_path):
    def saved(estimator, example=FRAME, rows=MATRIX, **more) -> Path:
        path = tmp_path / "saved"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            signature = mlflow.models.infer_signature(example, estimator.predict(rows))
            mlflow.sklearn.save_model(estimator, path, signature=signature, **more)
        return path

    return saved


def load(path: Path, **parameters) -> MLflowRuntime:
    settings = ModelSettings(
        name="m",
        implementation="fairtrial_servers.mlflow.MLflowRuntime",
        parameters={"uri": str(path), "extra": parameters},
    )
    runtime = MLflowRuntime(settings)
    assert asyncio.run(runtime.load())
    return runtime


def columns(frame):
    return [
        {"name": name, "datatype": "FP64", "shape": [len(frame)], "data": frame[name].tolist()}
        for name in frame
    ]


def matrix(rows):
    return [{"name": "x", "datatype": "FP64", "shape": list(rows.shape), "data": rows.ravel().tolist()}]


def ask(runtime, inputs):
    answer = asyncio.run(runtime.predict(InferenceRequest.model_validate({"inputs": inputs})))
    return answer.outputs[0].data.root


@pytest.mark.parametrize("form", ["skops", "cloudpickle", "pickle"])
@pytest.mark.parametrize("fitted_on", ["a frame", "a matrix"])
def test_columns_go_by_the_names_of_the_signature(save, form, fitted_on):
    model = LogisticRegression().fit(FRAME if fitted_on == "a frame" else FRAME.to_numpy(), LABELS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = save(model, serialization_format=form)
        expected = model.predict(FRAME).tolist()
    runtime = load(path)
    about = asyncio.run(runtime.metadata())
    assert about.platform == "mlflow"
    assert [(each.name, each.datatype, each.shape) for each in about.inputs] == [
        ("area", "FP64", [-1]),
        ("rooms", "FP64", [-1]),
        ("age", "FP64", [-1]),
    ]
    assert ask(runtime, columns(FRAME[["age", "area", "rooms"]])) == expected
    assert ask(runtime, matrix(FRAME.to_numpy())) == expected
    with pytest.raises(InferenceError, match=r"missing: age; unknown: ages"):
        ask(runtime, columns(FRAME.rename(columns={"age": "ages"})))


def test_a_model_of_one_column_takes_it_as_a_column_or_a_matrix(save):
    one = FRAME[["area"]]
    model = LogisticRegression().fit(one.to_numpy(), LABELS)
    expected = model.predict(one.to_numpy()).tolist()
    runtime = load(save(model, example=one, rows=one.to_numpy()))
    assert ask(runtime, columns(one)) == ask(runtime, matrix(one.to_numpy())) == expected


def test_a_signature_of_other_columns_than_the_model_knows_is_a_load_error(save):
    path = save(LogisticRegression().fit(FRAME, LABELS), example=FRAME.rename(columns={"age": "years"}))
    with pytest.raises(ModelError, match="years, the model was fitted on area, rooms, age"):
        load(path)


def test_a_signature_of_a_tensor_leaves_the_matrix(save):
    model = LogisticRegression().fit(FRAME.to_numpy(), LABELS)
    runtime = load(save(model, example=FRAME.to_numpy()))
    assert [each.shape for each in asyncio.run(runtime.metadata()).inputs] == [[-1, 3]]
    assert ask(runtime, matrix(FRAME.to_numpy())) == model.predict(FRAME.to_numpy()).tolist()


def test_an_onnx_flavour_is_run_by_onnxruntime(mlflow, tmp_path):
    model = LogisticRegression().fit(FRAME.to_numpy(), LABELS)
    rows = FRAME.to_numpy().astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.onnx.save_model(to_onnx(model, rows[:1]), tmp_path / "saved")
    assert ask(load(tmp_path / "saved"), matrix(rows)) == model.predict(rows).tolist()


def test_a_folder_is_seen_for_what_it_is_and_answers_on_a_server(save, start):
    model = LogisticRegression().fit(FRAME.to_numpy(), LABELS)
    path = save(model)
    known = detect(path)
    assert known.name == "mlflow"
    served = start(path, implementation=known.servers[0]).wait_ready()
    answer = httpx.post(
        f"{served.url}/v2/models/digits/infer",
        json={
            "inputs": columns(FRAME),
            "outputs": [{"name": "predict"}, {"name": "predict_proba"}],
        },
        timeout=30,
    )
    labels, probabilities = answer.raise_for_status().json()["outputs"]
    assert labels["data"] == model.predict(FRAME.to_numpy()).tolist()
    expected = model.predict_proba(FRAME.to_numpy()).ravel()
    assert np.abs(np.array(probabilities["data"]) - expected).max() <= 1e-6


def change(path: Path, edit) -> None:
    said = yaml.safe_load((path / "MLmodel").read_text())
    edit(said)
    (path / "MLmodel").write_text(yaml.safe_dump(said))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda said: said.pop("flavors"), "names no flavors"),
        (lambda said: said.update(flavors={"python_function": {}}), "python_function; served are"),
        (lambda said: said["flavors"]["sklearn"].pop("pickled_model"), "names no file"),
        (lambda said: said["flavors"]["sklearn"].update(pickled_model="gone.pkl"), "is not there"),
        (lambda said: said["flavors"]["sklearn"].update(pickled_model=["a"]), "names no file"),
        (lambda said: said["signature"].update(inputs="["), "signature cannot be read"),
        (
            lambda said: said["signature"].update(inputs='[{"name": "a", "type": "datetime"}]'),
            "'datetime' has no V2 datatype",
        ),
        (lambda said: said["signature"].update(inputs='[{"name": "a", "type": "double"}]'), "1 columns"),
    ],
)
def test_a_description_that_does_not_fit_is_a_load_error(save, edit, words):
    path = save(LogisticRegression().fit(FRAME.to_numpy(), LABELS))
    change(path, edit)
    with pytest.raises(ModelError, match=words):
        load(path)


def test_a_file_outside_the_folder_is_not_loaded(save):
    path = save(LogisticRegression().fit(FRAME.to_numpy(), LABELS))
    change(path, lambda said: said["flavors"]["sklearn"].update(pickled_model="../other.pkl"))
    with pytest.raises(UnsafeModelError, match="outside the model's folder"):
        load(path)


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"a: [", b"- 1", b"", b"!!python/object/apply:os.getpid []"]
)
def test_a_damaged_description_is_a_load_error(tmp_path, content):
    (tmp_path / "MLmodel").write_bytes(content)
    with pytest.raises(ModelError, match="MLmodel"):
        load(tmp_path)


def test_a_pickle_that_runs_code_is_refused_inside_a_folder_too(save):
    path = save(LogisticRegression().fit(FRAME.to_numpy(), LABELS), serialization_format="pickle")
    (path / "model.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UnsafeModelError, match=r"os\.system"):
        load(path)
