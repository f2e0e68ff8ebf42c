"""Models as XGBoost, LightGBM, torch, Keras and TensorFlow write them pass the scan."""

from __future__ import annotations

import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
from fairtrial_servers.safety.scan.survey import scan

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore")]

X = np.random.default_rng(0).random((60, 4))
Y = (X[:, 0] > 0.5).astype(int)


def passes(folder: Path, least: int) -> None:
    report = scan(folder)
    assert [str(found) for found in report.findings] == []
    assert report.files >= least


def test_xgboost(tmp_path):
    xgboost = pytest.importorskip("xgboost", reason="uv sync --group boosting")
    for kind in (xgboost.XGBClassifier, xgboost.XGBRegressor, xgboost.XGBRFClassifier):
        model = kind(n_estimators=3).fit(X, Y)
        name = kind.__name__
        joblib.dump(model, tmp_path / f"{name}.joblib", compress=3)
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(model))
        (tmp_path / f"{name}-booster.pkl").write_bytes(pickle.dumps(model.get_booster()))
        for suffix in ("json", "ubj", "bst"):
            model.save_model(tmp_path / f"{name}.{suffix}")
    passes(tmp_path, 18)


def test_lightgbm(tmp_path):
    lightgbm = pytest.importorskip("lightgbm", reason="uv sync --group boosting")
    for kind in (lightgbm.LGBMClassifier, lightgbm.LGBMRegressor):
        model = kind(n_estimators=3, verbose=-1).fit(X, Y)
        name = kind.__name__
        joblib.dump(model, tmp_path / f"{name}.joblib")
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(model))
        (tmp_path / f"{name}-booster.pkl").write_bytes(pickle.dumps(model.booster_))
        model.booster_.save_model(tmp_path / f"{name}.txt")
    passes(tmp_path, 8)


def test_torch(tmp_path):
    torch = pytest.importorskip("torch", reason="uv sync --group pytorch")
    nn = torch.nn
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 1)).eval()
    torch.save(net.state_dict(), tmp_path / "state.pt")
    torch.save(net.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    torch.save(net, tmp_path / "whole.pt")
    optimizer = torch.optim.Adam(net.parameters())
    torch.save({"model": net.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "epoch.ckpt")
    torch.jit.script(net).save(str(tmp_path / "script.pt"))
    torch.jit.trace(net, torch.zeros(1, 4)).save(str(tmp_path / "trace.pt"))
    rows = ({0: torch.export.Dim("rows")},)
    exported = torch.export.export(net, (torch.zeros(2, 4),), dynamic_shapes=rows)
    torch.export.save(exported, str(tmp_path / "exported.pt2"))
    passes(tmp_path, 7)


def test_keras(tmp_path):
    keras = pytest.importorskip("keras", reason="uv sync --group keras")
    layers = keras.layers
    dense = [layers.Dense(8, activation="relu", kernel_regularizer="l2"), layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((4,)), *dense, layers.Dropout(0.1), layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    pixels = keras.Input((8, 8, 1))
    filtered = layers.Conv2D(2, 3, activation=keras.activations.gelu)(pixels)
    answer = layers.Dense(2, activation="softmax")(keras.ops.tanh(layers.Flatten()(filtered) * 2.0 + 1))
    words = keras.Sequential([keras.Input((5, 3)), layers.Bidirectional(layers.LSTM(4)), layers.Dense(1)])
    for name, made in {"dense": model, "pixels": keras.Model(pixels, answer), "words": words}.items():
        made.save(tmp_path / f"{name}.keras")
        made.save(tmp_path / f"{name}.h5")
    passes(tmp_path, 15)


def test_tensorflow(tmp_path):
    tf = pytest.importorskip("tensorflow", reason="uv sync --group tensorflow")
    module = tf.Module()
    module.w = tf.Variable(tf.ones((4, 2)))
    table = tf.lookup.KeyValueTensorInitializer(["a", "b"], [0, 1])
    module.table = tf.lookup.StaticHashTable(table, -1)
    spec = tf.TensorSpec((None, 4), tf.float32)
    module.serve = tf.function(lambda x: tf.nn.softmax(x @ module.w), input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path), signatures=module.serve)
    passes(tmp_path, 4)
