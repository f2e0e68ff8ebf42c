"""Data files become rows, and a bad one is refused in a sentence that names what is wrong."""

import json

import pyarrow as pa
import pytest
from fairtrial_loadtests.dataset import Dataset
from fairtrial_loadtests.errors import BadLoadError
from fairtrial_loadtests.plan import Requests
from pyarrow import csv, parquet

TABLE = pa.table({"a": [1.5, 2.0], "n": [3, 4], "word": ["x", "y"], "user": [7, 8], "y": [0, 1]})


def write(folder, suffix, table=TABLE):
    path = folder / f"data{suffix}"
    if suffix == ".parquet":
        parquet.write_table(table, path)
    elif suffix == ".csv":
        csv.write_csv(table, path)
    else:
        path.write_text("\n".join(json.dumps(row) for row in table.to_pylist()))
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_every_format_gives_the_same_rows(tmp_path, suffix):
    data = Dataset(Requests(write(tmp_path, suffix), target="y", unit="user", exclude=("word",)))
    assert data.rows == 2
    assert data.features == ["a", "n"]
    assert list(data.column("a")) == [1.5, 2.0]
    assert list(data.column("n")) == [3, 4]
    assert data.targets == [0, 1]
    assert data.units == ["7", "8"]


def test_text_and_categories_are_text(tmp_path):
    table = pa.table({"c": pa.array(["p", "q"]).dictionary_encode(), "y": ["no", None]})
    data = Dataset(Requests(write(tmp_path, ".parquet", table), target="y"))
    assert data.column("c") == ["p", "q"]
    assert data.targets == ["no", None]
    assert data.units is None


@pytest.mark.parametrize(
    ("requests", "said"),
    [
        (
            {"target": "quality"},
            "no column 'quality', which is named as the target; its columns are a, n, word",
        ),
        ({"unit": "account"}, "no column 'account', which is named as the unit"),
        ({"exclude": ("wrod",)}, "no column 'wrod', which is named as excluded"),
        ({"target": "y", "exclude": ("a", "n", "word", "user")}, "has no features left"),
    ],
)
def test_a_column_that_is_not_there_is_named(tmp_path, requests, said):
    with pytest.raises(BadLoadError, match=said):
        Dataset(Requests(write(tmp_path, ".parquet"), **requests))


def test_a_missing_damaged_empty_or_foreign_file_is_refused(tmp_path):
    with pytest.raises(BadLoadError, match=r"none\.parquet does not exist"):
        Dataset(Requests(tmp_path / "none.parquet"))
    (tmp_path / "bad.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(BadLoadError, match=r"bad\.parquet cannot be read: "):
        Dataset(Requests(tmp_path / "bad.parquet"))
    with pytest.raises(BadLoadError, match=r"has no rows"):
        Dataset(Requests(write(tmp_path, ".parquet", TABLE.slice(0, 0))))
    (tmp_path / "data.xlsx").write_bytes(b"")
    with pytest.raises(BadLoadError, match=r"give a \.parquet, \.csv or \.jsonl file"):
        Dataset(Requests(tmp_path / "data.xlsx"))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, None], "an empty cell in column 'x', row 1"),
        ([float("nan"), 1.0], "has nan in column 'x', row 0"),
        ([[1.0], [2.0]], r"has list<.*> values in column 'x'"),
    ],
)
def test_cells_that_a_request_cannot_carry_are_refused(tmp_path, values, said):
    data = Dataset(Requests(write(tmp_path, ".parquet", pa.table({"x": values, "y": [1, 2]})), target="y"))
    with pytest.raises(BadLoadError, match=said):
        data.column("x")


def test_a_unit_that_would_forge_a_header_is_refused(tmp_path):
    table = pa.table({"x": [1.0], "user": ["a\r\nx-admin: yes"]})
    with pytest.raises(BadLoadError, match="cannot be sent in a header"):
        Dataset(Requests(write(tmp_path, ".parquet", table), unit="user"))
