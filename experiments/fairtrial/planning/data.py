"""How many rows there are to replay: a row's score counts once, so they bound what can be learnt."""

from __future__ import annotations

from pathlib import Path

from fairtrial.errors import UsageError


def count_distinct(path: Path, column: str) -> int | None:
    """Distinct values of a column; None if the data has no such column. Raises UsageError as `count_rows`."""
    import pyarrow as pa

    try:
        if path.suffix == ".parquet":
            from pyarrow import parquet

            if column not in parquet.read_schema(path).names:
                return None
            values = parquet.read_table(path, columns=[column]).column(0)
        else:
            from pyarrow import csv, json

            table = csv.read_csv(path) if path.suffix == ".csv" else json.read_json(path)
            if column not in table.schema.names:
                return None
            values = table.column(column)
        return len(values.unique())
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"the data {path} cannot be read: {error}") from error


def count_rows(path: Path) -> int:
    """Rows of a Parquet, CSV or JSON-lines file. Raises UsageError when it cannot be read."""
    import pyarrow as pa

    try:
        if path.suffix == ".parquet":
            from pyarrow import parquet

            return int(parquet.read_metadata(path).num_rows)
        if path.suffix == ".csv":
            from pyarrow import csv

            return sum(batch.num_rows for batch in csv.open_csv(path))
        with path.open("rb") as lines:
            return sum(1 for line in lines if line.strip())
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"the data {path} cannot be read: {error}") from error
