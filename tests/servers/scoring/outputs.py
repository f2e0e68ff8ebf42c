"""What a job wrote, read back by other means than its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv, parquet
from pyarrow import json as json_lines


def read(path: Path) -> pa.Table:
    """Any output file as a table."""
    if path.is_dir():
        return pa.concat_tables([parquet.ParquetFile(file).read() for file in sorted(path.iterdir())])
    if path.suffix == ".parquet":
        return parquet.ParquetFile(path).read()
    with pa.input_stream(str(path)) as stream:
        return csv.read_csv(stream) if ".csv" in path.name else json_lines.read_json(stream)


def record(path: Path) -> dict[str, Any]:
    return json.loads(path.with_name(path.name + ".scoring.json").read_text())
