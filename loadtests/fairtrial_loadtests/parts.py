"""The folder of a load's observations: part-000000.parquet, part-000001.parquet, ...

Parts follow one another in intended time, and are cut where no arrival straddles: whatever a killed
load has left is a whole number of arrivals, and the next load goes on with the one after.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path


def part_path(folder: Path, number: int) -> Path:
    return folder / f"part-{number:06d}.parquet"


def parts_from(folder: Path, number: int) -> Iterator[Path]:
    """The complete parts from `number` on, in order."""
    while (path := part_path(folder, number)).exists():
        yield path
        number += 1


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that it is seen whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def request_id(arrival: int, destination: str) -> str:
    """Identifies a request in its load; the arrival number comes first."""
    return f"{arrival}-{destination}"


def next_arrival(folder: Path) -> tuple[int, int]:
    """Where a load that was killed is to go on: (number of the next arrival, number of the next part).

    A part that cannot be read (the machine went down while it was written) is to be written again.
    """
    import pyarrow as pa
    from pyarrow import parquet

    parts = list(parts_from(folder, 0))
    while parts:
        try:
            ids: list[str] = parquet.ParquetFile(parts[-1]).read(["id"]).column("id").to_pylist()
        except (pa.ArrowException, OSError):
            parts.pop()
            continue
        return max(int(each.partition("-")[0]) for each in ids) + 1, len(parts)
    return 0, 0


def seconds_loaded(folder: Path, first_parts: Iterable[int]) -> float:
    """How long loads have lasted by what they recorded; what passed between them is not in it.

    first_parts: the number of the first part that each of them was to write.
    """
    from pyarrow import parquet

    def times(part: int) -> list[float]:
        return parquet.ParquetFile(part_path(folder, part)).read(["time"]).column("time").to_pylist()

    _, end = next_arrival(folder)
    bounds = sorted({part for part in first_parts if part < end} | {end})
    return sum(times(after - 1)[-1] - times(first)[0] for first, after in pairwise(bounds))
