"""Observations in any order, sorted by time in bounded memory."""

import json
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from fairtrial.errors import UsageError
from fairtrial.evidence import files, sorting
from fairtrial.evidence.sorting import is_sorted, sorted_by_time
from fairtrial.evidence.sources import ObservationFile, open_source
from hypothesis import given, settings
from hypothesis import strategies as st

TIMES = st.lists(st.integers(0, 9).map(float) | st.sampled_from([float("nan")]), max_size=60)


def batches_of(times, size: int) -> list[pa.RecordBatch]:
    table = pa.table({"time": pa.array(times, pa.float64()), "at": np.arange(len(times))})
    return table.to_batches(max_chunksize=size)


@settings(max_examples=60, deadline=None)
@given(times=TIMES, size=st.integers(1, 7), run_rows=st.integers(1, 20))
def test_a_merge_of_runs_is_a_stable_sort(times, size, run_rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "_BLOCK_ROWS", 3)
        patch.setattr(sorting, "_RUNS", 3)
        got = list(sorted_by_time(batches_of(times, size), run_rows=run_rows))
    at = [value for batch in got for value in batch.column("at").to_pylist()]
    assert at == np.argsort(np.nan_to_num(np.array(times), nan=np.inf), kind="stable").tolist()


@settings(max_examples=60, deadline=None)
@given(times=TIMES, after=st.integers(-1, 9).map(float))
def test_order_is_told_from_usable_times_alone(times, after):
    usable = [after, *(t for t in times if t == t)]  # noqa: PLR0124
    assert is_sorted(np.array(times), after) == (usable == sorted(usable))


def rows(n: int, seed: int = 1) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "arm": np.array(["v1", "v2"])[rng.integers(0, 2, n)],
            "time": 1000 + rng.permutation(n) / 7,
            "latency": rng.lognormal(-4, 0.5, n),
            "status": np.full(n, 200),
            "extra": np.arange(n),
        }
    )


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_a_shuffled_file_is_sorted_on_disk_and_progress_is_told(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(files, "_ROWS", 500)
    monkeypatch.setattr(files, "_BYTES", 20_000)
    monkeypatch.setattr(sorting.sorted_by_time, "__kwdefaults__", {"progress": None, "run_rows": 1000})
    table, path, told = rows(6000), tmp_path / f"o{suffix}", []
    if suffix == ".parquet":
        pq.write_table(table, path)
    elif suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    else:
        path.write_text("\n".join(json.dumps(row) for row in table.to_pylist()))
    source = open_source(path, ["extra"], progress=told.append)
    got = pa.Table.from_batches(list(source.batches()))
    expected = table.sort_by("time")
    assert got["time"].to_pylist() == expected["time"].to_pylist()
    assert got["extra"].to_pylist() == expected["extra"].to_pylist()
    assert got["arm"].to_pylist() == expected["arm"].to_pylist()
    assert len(told) > 3
    assert told[-1] == 6000


def test_a_sorted_file_is_not_sorted_again(tmp_path):
    path, told = tmp_path / "o.parquet", []
    pq.write_table(rows(100).sort_by("time"), path)
    assert len(ObservationFile(path, progress=told.append).read()) == 100
    assert not told


def test_nothing_is_left_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stream = sorted_by_time(batches_of(list(range(50, 0, -1)), 5), run_rows=10)
    next(stream)
    assert list(tmp_path.iterdir())
    stream.close()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_with_what_to_do(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pa, "OSFile", full)
    with pytest.raises(UsageError, match=r"No space left on device.*TMPDIR"):
        list(sorted_by_time(batches_of([2.0, 1.0], 1)))


def test_only_wanted_columns_are_read(tmp_path):
    path = tmp_path / "o.csv"
    pyarrow.csv.write_csv(rows(10).append_column("secret", pa.array(["x"] * 10)), path)
    (batch,) = ObservationFile(path, ["extra"]).batches()
    assert batch.schema.names == ["arm", "time", "latency", "status", "extra"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_fractions_may_come_after_many_whole_numbers(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(files, "_BYTES", 2000)
    path = tmp_path / f"o{suffix}"
    table = rows(2000).sort_by("time").drop_columns(["extra"])
    extra = pa.array([1.0] * 1999 + [2.5])
    lines = [
        {**row, "extra": int(value) if value == 1 else value}
        for row, value in zip(table.to_pylist(), extra.to_pylist(), strict=True)
    ]
    if suffix == ".csv":
        text = "\n".join(",".join(str(value) for value in row.values()) for row in lines)
        path.write_text("arm,time,latency,status,extra\n" + text + "\n")
    else:
        path.write_text("\n".join(json.dumps(row) for row in lines))
    assert ObservationFile(path).read()["extra"].to_pylist() == extra.to_pylist()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("o.csv", "arm,time,latency,status\nv1,1,0.1,200\nv1,2,0.1\n", r"o\.csv: .*Row #3"),
        ("o.csv", "arm,time,latency,status\nv1,1,0.1,200\nv1,2,slow,200\n", r"o\.csv: .*Row #3.*slow"),
        ("o.jsonl", '{"arm": "v1", "time": 1, "latency": 1, "status": 200}\n{"arm": \n', r"o\.jsonl:2: "),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        list(open_source(path).batches())
