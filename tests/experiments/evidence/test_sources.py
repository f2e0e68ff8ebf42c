"""Observations come from a run's folder or from a file of any common format."""

import json

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from experiments.streams import COLUMNS, START, Load, spec
from fairtrial.errors import UsageError
from fairtrial.evidence.sources import ObservationFile, PartsFolder, open_source, require_metric_columns
from fairtrial.judging import judge_stream

LOAD = Load(seconds=6, rate=40, seed=2)


def write(table: pa.Table, path) -> None:
    match path.suffix:
        case ".parquet":
            pq.write_table(table, path)
        case ".csv":
            pyarrow.csv.write_csv(table, path)
        case _:
            path.write_text("\n".join(json.dumps(row) for row in table.to_pylist()))


def decisions(source) -> list:
    return [j.verdicts[0].reasons for j in judge_stream(spec(), source.batches())]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_any_format_gives_the_same_verdicts(tmp_path, suffix):
    path = tmp_path / f"observations{suffix}"
    write(LOAD.table(), path)
    expected = [j.verdicts[0].reasons for j in judge_stream(spec(), [LOAD.table()])]
    assert decisions(open_source(path)) == expected


def test_a_file_is_sorted_by_time(tmp_path):
    path = tmp_path / "shuffled.parquet"
    write(LOAD.table().sort_by("id"), path)
    assert decisions(ObservationFile(path)) == decisions_of_table()


def decisions_of_table() -> list:
    return [j.verdicts[0].reasons for j in judge_stream(spec(), [LOAD.table()])]


def test_parts_are_read_in_the_order_of_their_numbers(tmp_path):
    table = LOAD.table()
    size = table.num_rows // 11
    for number in range(12):
        pq.write_table(table.slice(number * size, size), tmp_path / f"part-{number}.parquet")
    (tmp_path / "part-99.parquet.tmp").write_text("being written")
    assert [path.name for path in PartsFolder(tmp_path).paths()][9:] == [
        "part-9.parquet", "part-10.parquet", "part-11.parquet",
    ]  # fmt: skip
    assert decisions(open_source(tmp_path)) == decisions_of_table()


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path):
    path = tmp_path / "o.csv"
    path.write_text("arm,time,status\nv1,1,200\n")
    with pytest.raises(UsageError, match=r"o\.csv: column latency missing; the file has arm, time, status\."):
        list(ObservationFile(path).batches())


def test_a_metric_without_a_column_is_named(tmp_path):
    with pytest.raises(UsageError, match="column score missing"):
        require_metric_columns(spec(), ["arm", "time", "latency", "status"], tmp_path / "o.csv")
    require_metric_columns(spec(), COLUMNS, tmp_path / "o.csv")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("o.csv", "arm,time,latency,status\nv1,soon,0.1,200\n", "column time is not as it must be"),
        ("o.parquet", "not parquet", "cannot be read as parquet"),
        ("o.jsonl", "{not json", "cannot be read as jsonl"),
        ("o.xlsx", "", "cannot tell the format"),
        ("o.csv", "", "cannot be read as csv"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(UsageError, match=message) as raised:
        list(open_source(path).batches())
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(UsageError, match="no such"):
        open_source(tmp_path / "nothing.parquet")
    with pytest.raises(UsageError, match="no such"):
        PartsFolder(tmp_path / "nothing").paths()


def test_ids_and_units_may_look_like_numbers_and_times_like_dates(tmp_path):
    path = tmp_path / "o.csv"
    path.write_text(
        "arm,time,latency,status,id,unit,pair,score\n"
        "1,2026-11-22T10:00:01Z,0.1,200,0017,42,,true\n"
        "1,2026-11-22T10:00:00Z,0.1,200,17,42,3,false\n"
    )
    table = ObservationFile(path).read()
    assert table.column("id").to_pylist() == ["17", "0017"]
    assert table.column("unit").to_pylist() == ["42", "42"]
    assert table.column("pair").to_pylist() == [3, None]
    assert table.column("score").to_pylist() == [0.0, 1.0]
    first, second = table.column("time").to_pylist()
    assert second - first == 1.0
    assert abs(first - START) < 10 * 365 * 86400
