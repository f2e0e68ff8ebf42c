"""What is wrong with data, options or places is said in one sentence: which file, column and row."""

from __future__ import annotations

import joblib
import numpy as np
import pyarrow as pa
import pytest
from fairtrial_servers.errors import ModelError
from fairtrial_servers.scoring.errors import ScoreError
from pyarrow import parquet
from servers.scoring.outputs import read
from sklearn.ensemble import HistGradientBoostingClassifier

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")


def rows(**changed) -> pa.Table:
    return pa.table({**{name: np.zeros(1000) for name in "abc"}, **changed})


def with_cell(value, row=700) -> list[float | None]:
    return [value if number == row else 0.0 for number in range(1000)]


BAD_TABLES = {
    "a missing column": (rows().rename_columns(["a", "b", "cc"]), r'has no column c \(did you mean "cc"\?\)'),
    "text": (rows(b=["x"] * 1000), r'row 1: column "b" holds text'),
    "a null": (rows(b=with_cell(None)), r'in\.parquet, row 701: column "b": the cell is empty'),
    "nan": (rows(b=with_cell(float("nan"))), r'row 701: column "b": the cell is NaN'),
    "only nan": (rows(b=[float("nan")] * 1000), r'row 1: column "b": the cell is NaN'),
    "only nulls": (rows(b=pa.nulls(1000)), r'row 1: column "b": the cell is empty'),
    "inf": (rows(b=with_cell(float("inf"))), r'row 701: column "b": inf, where the model takes finite'),
    "moments": (rows(b=pa.array([0] * 1000, pa.timestamp("s"))), r'column "b" holds timestamp'),
    "the earlier of two": (
        rows(a=with_cell(None, 800), b=with_cell(float("inf"), 600)),
        r'row 601: column "b": inf',
    ),
    "a name of the predictions": (rows(predict=np.zeros(1000)), "--prefix"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_table_is_refused_in_a_sentence(case, score, model, tmp_path):
    table, words = BAD_TABLES[case]
    parquet.write_table(table, tmp_path / "in.parquet")
    with pytest.raises(ScoreError, match=words):
        score(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


BAD_TEXTS = {
    "a word among numbers": ("in.csv", "a,b,c\n1,2,3\n1,x,3\n", "line 3, column \"b\": 'x' is no number"),
    "a short line": ("in.csv", "a,b,c\n1,2,3\n1,2\n", "line 3: Expected 3 columns, got 2"),
    "no header": ("in.csv", "", "there is not even a header"),
    "one name twice": ("in.csv", "a,b,c,a\n1,2,3,4\n", "several columns of the name a"),
    "no object": ("in.jsonl", '{"a":1,"b":2,"c":3}\n[3]\n', "changed from object to array"),
    "no json": ("in.jsonl", '{"a":1,"b":2,"c":3}\n{"a":\n', "JSON parse error"),
    "no gzip": ("in.csv.gz", "a,b,c\n1,2,3\n", "in.csv.gz"),
    "no parquet": ("in.parquet", "a,b,c\n", "cannot be read as Parquet"),
    "of no known kind": ("in.xlsx", "a", "rows are read from and written to"),
}


@pytest.mark.parametrize("case", BAD_TEXTS)
def test_a_bad_file_is_refused_in_a_sentence(case, score, model, tmp_path):
    name, content, words = BAD_TEXTS[case]
    (tmp_path / name).write_text(content)
    with pytest.raises(ScoreError, match=words) as refused:
        score(model, tmp_path / name, tmp_path / "out.parquet")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out.parquet").exists()


def test_a_word_among_numbers_kept_verbatim_is_found_too(score, model, tmp_path):
    (tmp_path / "in.csv").write_text("a,b,c\n1,2,3\n1,x,3\n")
    with pytest.raises(ScoreError, match="row 2: column \"b\": 'x' is no number"):
        score(model, tmp_path / "in.csv", tmp_path / "out.csv")


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_bad_rows_are_left_without_a_prediction_where_that_is_asked_for(
    name, score, model, estimator, tmp_path
):
    (tmp_path / "in.csv").write_text("id,a,b,c\n1,1,2,3\n2,x,2,3\n3,1,,3\n4,inf,2,3\n5,2,1,3\n")
    outcome = score(model, tmp_path / "in.csv", tmp_path / name, on_bad_row="null", batch_rows=4)
    assert outcome.without == 3
    first, last = estimator.predict([[1, 2, 3], [2, 1, 3]]).tolist()
    assert read(tmp_path / name)["predict"].to_pylist() == [first, None, None, None, last]


def test_a_model_that_deals_with_missing_values_gets_them(score, tmp_path):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 2))
    x[::7, 1] = np.nan
    fitted = HistGradientBoostingClassifier(max_iter=5).fit(x, x[:, 0] > 0)
    joblib.dump(fitted, tmp_path / "model.joblib")
    parquet.write_table(
        pa.table({"p": x[:, 0], "q": pa.array(x[:, 1], from_pandas=True)}), tmp_path / "in.parquet"
    )
    score(tmp_path / "model.joblib", tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert read(tmp_path / "out.parquet")["predict"].to_pylist() == fitted.predict(x).tolist()


def test_what_is_not_there_is_named(score, model, data, tmp_path):
    with pytest.raises(ModelError, match="no model at"):
        score(tmp_path / "none.joblib", data, tmp_path / "out.parquet")
    with pytest.raises(ScoreError, match="does not exist"):
        score(model, tmp_path / "none.parquet", tmp_path / "out.parquet")
    with pytest.raises(ScoreError, match="has no column zz"):
        score(model, data, tmp_path / "out.parquet", targets=("zz",))
    with pytest.raises(ScoreError, match="--outputs names transform"):
        score(model, data, tmp_path / "out.parquet", outputs="transform")
    with pytest.raises(ScoreError, match="no such table"):
        score(model, f"sql+sqlite:///{tmp_path}/x.db?table=t", tmp_path / "out.parquet")


def test_data_is_not_overwritten(score, model, data):
    with pytest.raises(ScoreError, match="is the data itself"):
        score(model, data, data)
