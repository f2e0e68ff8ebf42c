"""Model files that would run code are refused before they do; honest ones load."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import pickle
import subprocess
import zipfile
import zlib

import joblib
import numpy as np
import pytest
import skops.io
from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.estimators import load_estimator
from fairtrial_servers.safety import pickles, policy
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, SplineTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

X = np.random.default_rng(0).random((40, 3))
Y = (X[:, 0] > 0.5).astype(int)
MIXED = np.column_stack([X.astype(object), np.where(Y, "yes", "no")])

HONEST = {
    "logistic": LogisticRegression().fit(X, Y),
    "string labels": LogisticRegression().fit(X, np.where(Y, "good", "bad").astype(object)),
    "sgd with a random state": SGDClassifier(random_state=np.random.RandomState(0)).fit(X, Y),
    "forest": RandomForestClassifier(3, random_state=0).fit(X, Y),
    "isolation forest": IsolationForest(n_estimators=3, random_state=0).fit(X),
    "boosting": GradientBoostingClassifier(n_estimators=2).fit(X, Y),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=2).fit(X, Y),
    "support vectors": SVC().fit(X, Y),
    "neighbours": KNeighborsClassifier().fit(X, Y),
    "gaussian process": GaussianProcessClassifier().fit(X, Y),
    "network": MLPClassifier(4, max_iter=300, tol=1, random_state=0).fit(X, Y),
    "grid search": GridSearchCV(DecisionTreeClassifier(), {"max_depth": [1, 2]}, scoring="accuracy").fit(
        X, Y
    ),
    "selection": make_pipeline(SelectKBest(k=2), LogisticRegression()).fit(X, Y),
    "logarithm": make_pipeline(FunctionTransformer(np.log1p), Ridge()).fit(X, Y),
    "splines": make_pipeline(SplineTransformer(), Ridge()).fit(X, Y),
    "text": make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good film", "bad film"], [1, 0]),
    "columns": make_pipeline(
        ColumnTransformer([("n", StandardScaler(), [0, 1, 2]), ("c", OneHotEncoder(), [3])]), Ridge()
    ).fit(MIXED, Y),
}

# What a hostile file asks for, as pickle source: none of these may run, in whatever wrapping.
HOSTILE = {
    "os.system": b"cos\nsystem\n",
    "posix.system": b"cposix\nsystem\n",
    "subprocess.Popen": b"csubprocess\nPopen\n",
    "eval": b"c__builtin__\neval\n",
    "getattr": b"cbuiltins\ngetattr\n",
    "runpy": b"crunpy\nrun_path\n",
    "eval inside numpy": b"cnumpy.f2py.crackfortran\nmyeval\n",
    "any attribute by numpy": b"cnumpy._core\n_ufunc_reconstruct\n",
    "a file by numpy": b"cnumpy\nmemmap\n",
    "a pickle by numpy": b"cnumpy\nload\n",
    "exec inside numpy": b"cnumpy.testing._private.utils\nrunstring\n",
    "exec by a scipy distribution": b"cscipy.stats._distn_infrastructure\nrv_continuous\n",
    "a module reached through sklearn": b"\x80\x04\x8c\x0csklearn.base\x8c\x02re\x93",
    "a function reached through a module": b"\x80\x04\x8c\x0csklearn.base\x8c\x0dwarnings.warn\x93",
    "a download by sklearn": b"csklearn.datasets\nfetch_openml\n",
    "a file by sklearn": b"csklearn.tree\nexport_graphviz\n",
    "a pickle by joblib": b"cjoblib\nload\n",
    "cloudpickle": b"cjoblib.externals.cloudpickle.cloudpickle\n_make_function\n",
    "the training script": b"c__main__\nModel\n",
}


def write(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("name", HONEST)
def test_honest_pickles_load(tmp_path, name, protocol):
    path = write(tmp_path / "model.pkl", pickle.dumps(HONEST[name], protocol))
    assert type(load_estimator(path, frozenset())) is type(HONEST[name])


@pytest.mark.parametrize("name", HONEST)
def test_honest_skops_files_load(tmp_path, name):
    skops.io.dump(HONEST[name], tmp_path / "model.skops")
    assert type(load_estimator(tmp_path / "model.skops", frozenset())) is type(HONEST[name])


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)])
def test_joblib_files_load_however_compressed(tmp_path, compress):
    for name in ("forest", "columns", "string labels"):
        joblib.dump(HONEST[name], tmp_path / "model.joblib", compress=compress)
        loaded = load_estimator(tmp_path / "model.joblib", frozenset())
        rows = MIXED if name == "columns" else X
        assert (loaded.predict(rows) == HONEST[name].predict(rows)).all()


@pytest.mark.parametrize("pack", [bytes, zlib.compress, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_are_refused_by_name(tmp_path, name, pack):
    path = write(tmp_path / "model.pkl", pack(HOSTILE[name] + b"."))
    with pytest.raises(UnsafeModelError, match=r"refers to \w+") as refused:
        load_estimator(path, frozenset())
    assert "\n" not in str(refused.value)


class Touch:
    """Creates a file when unpickled, by any function that can."""

    def __init__(self, path, by):
        self._path, self._by = path, by

    def __reduce__(self):
        if self._by is os.system:
            return os.system, (f"touch {self._path}",)
        return self._by, (["touch", str(self._path)],)


@pytest.mark.parametrize("by", [os.system, subprocess.check_call])
def test_a_hostile_object_deep_inside_does_not_run(tmp_path, by):
    marker = tmp_path / "ran"
    model = LogisticRegression().fit(X, Y)
    places = {
        "attribute": lambda: model.__dict__.update(extra=Touch(marker, by)),
        # joblib writes an array of objects as a pickle inside the pickle
        "array": lambda: model.__dict__.update(extra=np.array([Touch(marker, by), 1], dtype=object)),
    }
    for put in places.values():
        put()
        for path in (tmp_path / "model.joblib", tmp_path / "packed.joblib"):
            joblib.dump(model, path, compress=3 if path.stem == "packed" else 0)
            with pytest.raises(UnsafeModelError):
                load_estimator(path, frozenset())
            assert not marker.exists()


def test_a_hostile_skops_file_is_refused(tmp_path):
    model = make_pipeline(FunctionTransformer(os.system), Ridge())
    model.steps[0][1].fit(X)
    skops.io.dump(model, tmp_path / "model.skops")
    with pytest.raises(UnsafeModelError, match="system"):
        load_estimator(tmp_path / "model.skops", frozenset())


def test_a_compressed_bomb_is_refused_before_it_unfolds(tmp_path, monkeypatch):
    monkeypatch.setattr(pickles, "MAX_UNCOMPRESSED", 1 << 20)
    path = tmp_path / "model.joblib"
    joblib.dump(np.zeros(1 << 20), path, compress=3)
    with pytest.raises(ModelError, match="does not fit"):
        load_estimator(path, frozenset())
    write(path, zlib.compress(pickle.dumps(b"0" * (1 << 24))))
    with pytest.raises(UnsafeModelError, match="holds more than"):
        load_estimator(path, frozenset())


@pytest.mark.parametrize("suffix", ["joblib", "pkl", "skops"])
def test_damaged_files_are_said_to_be_damaged(tmp_path, suffix):
    path = tmp_path / f"model.{suffix}"
    model = HONEST["forest"]
    skops.io.dump(model, path) if suffix == "skops" else joblib.dump(model, path)
    whole = path.read_bytes()
    damages = [b"", b"\x00" * 100, b"not a model", whole[: len(whole) // 2], whole[:-1], whole[100:]]
    for damage in damages:
        write(path, damage)
        with pytest.raises(ModelError) as refused:
            load_estimator(path, frozenset())
        assert f"model.{suffix}" in str(refused.value)
        assert "\n" not in str(refused.value)


def test_random_damage_never_escapes_as_another_error(tmp_path):
    path = tmp_path / "model.joblib"
    joblib.dump(HONEST["logistic"], path)
    whole = path.read_bytes()
    random = np.random.default_rng(1)
    for _ in range(150):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 3):
            damaged[place] = random.integers(0, 256)
        write(path, bytes(damaged))
        with contextlib.suppress(ModelError):
            load_estimator(path, frozenset())


def test_a_file_without_an_estimator_is_refused(tmp_path):
    with pytest.raises(ModelError, match="holds a dict"):
        load_estimator(write(tmp_path / "model.pkl", pickle.dumps({"a": 1})), frozenset())
    with pytest.raises(ModelError, match="never fitted"):
        load_estimator(write(tmp_path / "model.pkl", pickle.dumps(Ridge())), frozenset())


def test_the_users_own_classes_need_their_module_to_be_trusted(tmp_path, monkeypatch):
    (tmp_path / "houses.py").write_text(
        "import os\nfrom os import system\nfrom sklearn.linear_model import Ridge\n"
        "class Prices(Ridge):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import houses  # type: ignore[import-not-found]

    path = write(tmp_path / "model.pkl", pickle.dumps(houses.Prices().fit(X, Y)))
    with pytest.raises(UnsafeModelError, match=r"houses\.Prices.*trusted"):
        load_estimator(path, frozenset())
    assert isinstance(load_estimator(path, frozenset({"houses"})), houses.Prices)
    # What a trusted module merely imports is not its own.
    assert not policy.admits("houses", "system", frozenset({"houses"}))
    assert not policy.admits("houses", "os.system", frozenset({"houses"}))


def test_a_version_that_lacks_a_class_is_said_so(tmp_path):
    with pytest.raises(ModelError, match=r"sklearn\.linear_model\.Retired.*not installed here"):
        load_estimator(write(tmp_path / "model.pkl", b"csklearn.linear_model\nRetired\n."), frozenset())


def test_a_zip_that_claims_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("fairtrial_servers.safety.skops_files.MAX_UNCOMPRESSED", 1000)
    with zipfile.ZipFile(tmp_path / "model.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b"0" * 10_000)
    with pytest.raises(UnsafeModelError, match="holds more than"):
        load_estimator(tmp_path / "model.skops", frozenset())
