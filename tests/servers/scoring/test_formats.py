"""Every format in and out: the rows as they were, in their order, with the model's own predictions."""

from __future__ import annotations

import gzip
import json
import sqlite3

import numpy as np
import onnx
import pyarrow as pa
import pytest
from fairtrial_servers.scoring.errors import ScoreError
from fairtrial_servers.scoring.options import locate
from pyarrow import csv, parquet
from servers.scoring.outputs import read, record
from skl2onnx import to_onnx

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")


@pytest.fixture(scope="module")
def every_input(table, data, tmp_path_factory) -> dict[str, str]:
    """The same rows in every format."""
    home = tmp_path_factory.mktemp("inputs")
    csv.write_csv(table, home / "rows.csv")
    lines = "".join(json.dumps(row) + "\n" for row in table.to_pylist())
    (home / "rows.jsonl").write_text(lines)
    for name in ("rows.csv", "rows.jsonl"):
        (home / f"{name}.gz").write_bytes(gzip.compress((home / name).read_bytes()))
    (home / "folder").mkdir()
    parquet.write_table(table.slice(0, 2000), home / "folder" / "1.parquet")
    parquet.write_table(table.slice(2000), home / "folder" / "2.parquet")
    with sqlite3.connect(home / "rows.db") as database:
        database.execute(
            "create table rows (id integer primary key, word text, c real, b real, a real, y int)"
        )
        database.executemany(
            "insert into rows values (?,?,?,?,?,?)", [tuple(r.values()) for r in table.to_pylist()]
        )
    database.close()
    names = ("rows.csv", "rows.jsonl", "rows.csv.gz", "rows.jsonl.gz", "folder")
    places = {name: str(home / name) for name in names}
    return {**places, "sql": f"sql+sqlite:///{home}/rows.db?table=rows", "rows.parquet": str(data)}


@pytest.mark.parametrize(
    "kind", ["rows.parquet", "folder", "rows.csv", "rows.csv.gz", "rows.jsonl", "rows.jsonl.gz", "sql"]
)
def test_rows_of_every_format_are_scored_as_the_library_does(
    every_input, kind, score, model, estimator, features, table, tmp_path
):
    outcome = score(model, every_input[kind], tmp_path / "out.parquet", outputs="predict,predict_proba")
    got = read(tmp_path / "out.parquet")
    assert outcome.rows == got.num_rows == table.num_rows
    assert got["id"].to_pylist() == table["id"].to_pylist()
    assert got["word"].to_pylist() == table["word"].to_pylist()
    assert got["predict"].to_pylist() == estimator.predict(features).tolist()
    probabilities = np.column_stack([got[f"predict_proba_{label}"].to_numpy() for label in range(2)])
    assert np.abs(probabilities - estimator.predict_proba(features)).max() <= 1e-9


@pytest.mark.parametrize(
    "name", ["out.csv", "out.csv.gz", "out.jsonl", "out.jsonl.gz", "out.parquet", "folder/"]
)
def test_rows_are_written_in_every_format_with_nothing_lost(data, name, score, model, table, tmp_path):
    score(model, data, f"{tmp_path}/{name}", outputs="predict_proba")
    got = read(tmp_path / name)
    assert got.select(table.column_names).equals(table)
    assert got["predict_proba_1"].type == pa.float64()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert record(tmp_path / name)["rows"] == table.num_rows


def test_rows_are_written_to_a_table_beside_the_one_they_come_from(
    every_input, score, model, estimator, features
):
    target = every_input["sql"].replace("table=rows", "table=scored")
    score(model, every_input["sql"], target)
    with sqlite3.connect(target.removeprefix("sql+sqlite:///").partition("?")[0]) as database:
        rows = database.execute("select id, predict from scored order by id").fetchall()
    database.close()
    assert [label for _, label in rows] == estimator.predict(features).tolist()
    assert score(model, every_input["sql"], target).already_complete


def test_a_csv_file_is_written_back_as_it_was(score, model, tmp_path):
    source = tmp_path / "in.csv"
    source.write_text('code,a,b,c,note\n007,1.10,2,3e0,"x, ""y"""\n008,-1,+0.50,0,""\n009,1,1,1,\n')
    score(model, source, tmp_path / "out.csv")
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "code,a,b,c,note,predict"
    assert [line.rpartition(",")[0] for line in lines[1:]] == source.read_text().splitlines()[1:]


def test_json_says_what_a_value_is(score, model, tmp_path):
    source = tmp_path / "in.parquet"
    words = ["é\n", 'say "x"', "back\\slash", None]
    numbers = [1.5, float("nan"), float("inf"), None]
    columns = {name: [0.0] * 4 for name in "abc"}
    parquet.write_table(
        pa.table({**columns, "word": words, "number": numbers, "list": [[1], [], None, [2]]}), source
    )
    score(model, source, tmp_path / "out.jsonl", outputs="predict_proba", lists=True)
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["word"] for row in rows] == words
    assert [row["number"] for row in rows] == [1.5, None, None, None]
    assert [row["list"] for row in rows] == [[1], [], None, [2]]
    assert all(abs(sum(row["predict_proba"]) - 1) < 1e-9 for row in rows)


def test_predictions_alone_come_in_the_order_of_the_rows_or_with_an_id(data, score, model, tmp_path):
    score(model, data, tmp_path / "out.parquet", ids=("id",), only_predictions=True, prefix="v1_")
    assert read(tmp_path / "out.parquet").column_names == ["id", "v1_predict"]
    score(model, data, tmp_path / "alone.csv", only_predictions=True)
    alone = read(tmp_path / "alone.csv")
    assert alone.column_names == ["predict"]
    assert alone["predict"].to_pylist() == read(tmp_path / "out.parquet")["v1_predict"].to_pylist()
    with pytest.raises(ScoreError, match="they have no order there: name a column with --id"):
        score(model, data, f"sql+sqlite:///{tmp_path}/out.db?table=rows", only_predictions=True)


def test_a_graph_that_takes_a_matrix_gets_the_columns_by_position(
    data, score, estimator, features, table, tmp_path
):
    reversed_features = features[:, ::-1].astype(np.float32)  # as they stand in the file
    made: onnx.ModelProto = to_onnx(estimator, reversed_features[:1], options={"zipmap": False})
    (tmp_path / "model.onnx").write_bytes(made.SerializeToString())
    out = tmp_path / "out.parquet"
    with pytest.raises(ScoreError, match=r"5 numeric columns that may be features .* the model takes 3"):
        score(tmp_path / "model.onnx", data, out)
    score(tmp_path / "model.onnx", data, out, ids=("id",), targets=("y",), lists=True)
    got = np.array(read(out)["probabilities"].to_pylist())
    expected = estimator.predict_proba(reversed_features.astype(float))
    assert np.abs(got - expected).max() <= 1e-5


def test_a_column_of_lists_is_a_matrix(score, estimator, features, tmp_path):
    made = to_onnx(estimator, features[:1].astype(np.float32), options={"zipmap": False})
    (tmp_path / "model.onnx").write_bytes(made.SerializeToString())
    parquet.write_table(pa.table({"embedding": features.tolist()}), tmp_path / "in.parquet")
    score(tmp_path / "model.onnx", tmp_path / "in.parquet", tmp_path / "out.parquet", outputs="label")
    agreed = read(tmp_path / "out.parquet")["label"].to_numpy() == estimator.predict(features)
    assert agreed.mean() > 0.999  # in single precision


def test_a_file_without_rows_gives_one_without_rows(score, model, table, tmp_path):
    parquet.write_table(table.slice(0, 0), tmp_path / "in.parquet")
    assert score(model, tmp_path / "in.parquet", tmp_path / "out.parquet").rows == 0
    assert read(tmp_path / "out.parquet").column_names == [*table.column_names, "predict"]


def test_a_database_is_named_without_its_password():
    where = locate("sql+postgresql://me:secret@host/db?table=t&sslmode=require")
    assert where.name == "sql+postgresql://me:***@host/db?table=t"
    assert where.url == "postgresql://me:secret@host/db?sslmode=require"
