"""Models and rows for the tests of batch scoring, and a job in this process or in one that can be killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from fairtrial_servers.scoring.arguments import options_from
from fairtrial_servers.scoring.progress import Silent
from fairtrial_servers.scoring.run import run
from pyarrow import parquet
from sklearn.linear_model import LogisticRegression

NAMES = ["a", "b", "c"]
ROWS = 5000

Score = Callable[..., Any]


@pytest.fixture(scope="session")
def table() -> pa.Table:
    """id, word, three features (not in the model's order) and y."""
    rng = np.random.default_rng(5)
    columns = {name: rng.normal(size=ROWS) for name in reversed(NAMES)}
    words = [f'w{number}, "{number % 7}"' for number in range(ROWS)]
    truth = (columns["a"] > columns["b"]).astype(np.int64)
    return pa.table({"id": np.arange(ROWS), "word": words, **columns, "y": truth})


@pytest.fixture(scope="session")
def features(table) -> np.ndarray:
    return np.column_stack([table[name].to_numpy() for name in NAMES])


@pytest.fixture(scope="session")
def estimator(table, features) -> LogisticRegression:
    return LogisticRegression().fit(pd.DataFrame(features, columns=NAMES), table["y"].to_numpy())


@pytest.fixture(scope="session")
def model(estimator, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("named") / "model.joblib"
    joblib.dump(estimator, path)
    return path


@pytest.fixture(scope="session")
def data(table, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rows.parquet"
    parquet.write_table(table, path, row_group_size=1700)
    return path


@pytest.fixture
def score() -> Score:
    """Run a job as the command line would; keywords are its options."""

    def scored(model: object, data: object, out: object, **said: Any) -> Any:
        many = dict.fromkeys(("ids", "targets", "exclude", "text", "parameters"), ())
        given = {"outputs": "", "batch_rows": 512, "keep_every": 0.0, **many, **said}
        return run(options_from(model=str(model), data=str(data), out=str(out), **given), Silent())

    return scored


@pytest.fixture
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`python -m fairtrial_servers.score`, to its end."""

    def called(*args: object, **how: Any) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "fairtrial_servers.score", *map(str, args)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False, **how)

    return called
