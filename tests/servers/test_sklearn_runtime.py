"""What the scikit-learn runtime makes of different estimators, in process, by the calls MLServer makes."""

from __future__ import annotations

import asyncio

import joblib
import numpy as np
import pandas as pd
import pytest
from fairtrial_servers.errors import ModelError
from fairtrial_servers.sklearn import SKLearnRuntime
from mlserver.errors import InferenceError
from mlserver.settings import ModelSettings
from mlserver.types import InferenceRequest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

RANDOM = np.random.default_rng(0)
X = RANDOM.random((60, 3))
Y = (X[:, 0] > 0.5).astype(int)
HOUSES = pd.DataFrame(
    {
        "area": X[:, 0] * 100,
        "town": np.where(X[:, 1] > 0.5, "Ulm", "Bonn"),
        "rooms": RANDOM.integers(1, 6, 60),
        "note": "not for training",
    }
)


@pytest.fixture
def serve(tmp_path):
    def load(estimator, **parameters) -> SKLearnRuntime:
        path = tmp_path / "model.joblib"
        joblib.dump(estimator, path)
        runtime = SKLearnRuntime(
            ModelSettings(
                name="m",
                implementation="fairtrial_servers.sklearn.SKLearnRuntime",
                parameters={"uri": str(path), "extra": parameters},
            )
        )
        assert asyncio.run(runtime.load())
        return runtime

    return load


def tensor(name, data, shape=None, datatype="FP64"):
    return {
        "name": name,
        "datatype": datatype,
        "shape": list(shape or [len(data)]),
        "data": np.array(data, dtype=object).tolist(),
    }


def ask(runtime, *tensors, outputs=()):
    request = InferenceRequest.model_validate(
        {"inputs": list(tensors), "outputs": [{"name": name} for name in outputs]}
    )
    return asyncio.run(runtime.predict(request)).outputs


def columns(frame):
    kinds = {name: "BYTES" if isinstance(frame[name].iloc[0], str) else "FP64" for name in frame}
    return [tensor(name, frame[name].tolist(), datatype=kind) for name, kind in kinds.items()]


def metadata(runtime):
    answer = asyncio.run(runtime.metadata())
    return [(each.name, each.datatype, each.shape) for each in answer.inputs]


def pipeline():
    encode = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["area", "rooms"]),
            ("names", OneHotEncoder(handle_unknown="error"), ["town"]),
        ]
    )
    return make_pipeline(encode, LogisticRegression()).fit(HOUSES, Y)


def test_a_frame_of_mixed_columns_is_served_column_by_column(serve):
    model = pipeline()
    runtime = serve(model)
    assert metadata(runtime) == [("area", "FP64", [-1]), ("town", "BYTES", [-1]), ("rooms", "FP64", [-1])]
    used = HOUSES[["rooms", "town", "area"]]  # in any order
    labels, probabilities = ask(runtime, *columns(used), outputs=["predict", "predict_proba"])
    assert labels.data.root == model.predict(HOUSES).tolist()
    assert np.allclose(probabilities.data.root, model.predict_proba(HOUSES).ravel(), atol=1e-6)
    # A column that training dropped may be sent all the same.
    assert ask(runtime, *columns(HOUSES))[0].data.root == labels.data.root


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda sent: sent[:-1], "missing: rooms"),
        (lambda sent: [*sent, tensor("garden", [1.0] * 60)], "unknown: garden"),
        (lambda sent: [*sent, sent[0]], "twice"),
        (lambda sent: [tensor("area", [1.0]), *sent[1:]], "differ in rows"),
        (lambda sent: [sent[0], tensor("town", [1.0] * 60), sent[2]], "expected datatype BYTES"),
        (lambda sent: [sent[0], tensor("town", ["Mars"] * 60, datatype="BYTES"), sent[2]], "Mars"),
        (lambda sent: [tensor("x", [1.0, 2.0, 3.0], [1, 3])], "missing: area"),
    ],
)
def test_wrong_columns_are_refused(serve, change, words):
    sent = columns(HOUSES[["area", "town", "rooms"]])
    with pytest.raises(InferenceError, match=words):
        ask(serve(pipeline()), *change(sent))


def test_named_numeric_columns_take_a_matrix_or_one_tensor_each(serve):
    frame = HOUSES[["area", "rooms"]]
    model = LogisticRegression().fit(frame, Y)
    runtime = serve(model)
    assert metadata(runtime) == [("input-0", "FP64", [-1, 2])]
    expected = model.predict(frame).tolist()
    assert ask(runtime, tensor("input-0", frame.to_numpy().ravel(), [60, 2]))[0].data.root == expected
    assert ask(runtime, *columns(frame[["rooms", "area"]]))[0].data.root == expected


def test_numeric_columns_chosen_by_name_take_a_matrix(serve):
    frame = HOUSES[["area", "rooms"]]
    model = make_pipeline(ColumnTransformer([("s", StandardScaler(), ["rooms", "area"])]), LinearRegression())
    model.fit(frame, X[:, 2])
    answer = ask(serve(model), tensor("x", frame.to_numpy().ravel(), [60, 2]))[0]
    assert answer.datatype == "FP64"
    assert np.allclose(answer.data.root, model.predict(frame), atol=1e-6)


def test_categories_of_a_boosted_model_are_strings(serve):
    frame = HOUSES[["area", "town"]].assign(town=HOUSES["town"].astype("category"))
    model = HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype").fit(frame, Y)
    runtime = serve(model)
    assert metadata(runtime) == [("area", "FP64", [-1]), ("town", "BYTES", [-1])]
    assert ask(runtime, *columns(HOUSES[["area", "town"]]))[0].data.root == model.predict(frame).tolist()


def test_texts_are_one_list_of_strings(serve):
    texts = ["good film", "bad film", "good", "awful"]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, ["+", "-", "+", "-"])
    runtime = serve(model)
    assert metadata(runtime) == [("input-0", "BYTES", [-1])]
    for shape in ([4], [4, 1]):
        answer = ask(runtime, tensor("text", texts, shape, "BYTES"))[0]
        assert (answer.datatype, answer.data.root) == ("BYTES", [b"+", b"-", b"+", b"-"])


@pytest.mark.parametrize(
    ("labels", "datatype"),
    [(Y, "INT64"), (np.where(Y, "yes", "no"), "BYTES"), (Y.astype(bool), "BOOL"), (Y.astype(float), "FP64")],
)
def test_labels_keep_their_type(serve, labels, datatype):
    model = DecisionTreeClassifier().fit(X, labels)
    answer = ask(serve(model), tensor("x", X.ravel(), X.shape))[0]
    assert answer.datatype == datatype
    values = [value.decode() if isinstance(value, bytes) else value for value in answer.data.root]
    assert values == labels.tolist()


def test_several_targets_are_answered_as_a_table(serve):
    model = LinearRegression().fit(X, np.column_stack([Y, X[:, 1]]))
    answer = ask(serve(model), tensor("x", X.ravel(), X.shape))[0]
    assert answer.shape == [60, 2]
    assert np.allclose(answer.data.root, model.predict(X).ravel(), atol=1e-6)


def test_a_null_is_a_missing_value_only_where_the_model_deals_with_them(serve):
    hole = X.copy()
    hole[0, 1] = np.nan
    sent = tensor("x", [None if np.isnan(value) else value for value in hole.ravel().tolist()], X.shape)
    for model in (
        HistGradientBoostingRegressor(max_iter=3).fit(hole, Y),
        make_pipeline(SimpleImputer(), LinearRegression()).fit(hole, Y),
    ):
        answer = ask(serve(model), sent)[0]
        assert np.allclose(answer.data.root, model.predict(hole), atol=1e-6)
    for model in (LinearRegression().fit(X, Y), RandomForestClassifier(2).fit(X, Y)):
        with pytest.raises(InferenceError, match="expected FP64 values, got a null at position 1"):
            ask(serve(model), sent)


def test_a_number_that_is_not_finite_is_named(serve):
    runtime = serve(LinearRegression().fit(X, Y))
    with pytest.raises(InferenceError, match=r"finite numbers only, got nan at \[0, 2\]"):
        ask(runtime, tensor("x", [1.0, 2.0, float("nan")], [1, 3]))


def test_a_model_that_refuses_zeros_is_served(serve):
    # The warm-up tries zeros first, which have no reciprocal.
    invert = FunctionTransformer(np.reciprocal, validate=True)
    model = make_pipeline(invert, LinearRegression()).fit(X + 1, Y)
    answer = ask(serve(model), tensor("x", [1.0, 2.0, 4.0], [1, 3]))[0]
    assert np.allclose(answer.data.root, model.predict([[1.0, 2.0, 4.0]]))


def test_parameters_choose_the_default_output(serve):
    model = LogisticRegression().fit(X, Y)
    answer = ask(serve(model, predict_fn="predict_proba"), tensor("x", X[:1].ravel(), [1, 3]))[0]
    assert answer.name == "predict_proba"
    with pytest.raises(ModelError, match="predict_fn"):
        serve(model, predict_fn="explain")
    with pytest.raises(ModelError, match="trusted"):
        serve(model, trusted="a module")


def test_no_worker_threads_predict(serve):
    model = RandomForestClassifier(20, n_jobs=2, random_state=0).fit(X, Y)
    runtime = serve(model)
    assert ask(runtime, tensor("x", X.ravel(), X.shape))[0].data.root == model.predict(X).tolist()
    assert runtime._estimator.n_jobs == 1


def test_a_folder_holds_one_model_file(tmp_path, serve):
    from fairtrial_servers.formats import SKLEARN_SUFFIXES, one_file

    with pytest.raises(ModelError, match="found none"):
        one_file(tmp_path, SKLEARN_SUFFIXES)
    (tmp_path / "a.pkl").touch()
    assert one_file(tmp_path, SKLEARN_SUFFIXES).name == "a.pkl"
    (tmp_path / "b.joblib").touch()
    with pytest.raises(ModelError, match=r"found a\.pkl, b\.joblib"):
        one_file(tmp_path, SKLEARN_SUFFIXES)
    (tmp_path / "model.pkl").touch()
    assert one_file(tmp_path, SKLEARN_SUFFIXES).name == "model.pkl"
