"""How fast observations become evidence, and in how much memory, on one core.

    uv run benchmarks/evidence.py

Observations are a mix of two arms at 20,000 a second, 0.5% of them failed; the metrics are errorRate,
mean latency and p99 latency, in time batches of a second. From Arrow batches in memory; from a Parquet
file, read, checked for order, cut into looks and summed up; and the same for a longer file in a process of
its own, whose memory is measured. Beside each rate is that of a plain group-by in the same run: numpy alone,
whole columns, only counts, errors and sums of latency by arm and second. Ends with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from fairtrial.evidence.builder import EvidenceBuilder
from fairtrial.evidence.looks import Block, LookCutter
from fairtrial.evidence.sources import metric_columns, open_source
from fairtrial.judge.evidence import Evidence
from fairtrial.judge.spec import JudgeSpec, Kind, Margin, MetricSpec, Role
from pyarrow import parquet

MEMORY_BAR = 20e6  # observations a second
FILE_BAR = 5e6
GROWTH_BAR = 300.0  # MB
START = 1_795_377_600.0
RATE = 20_000  # observations a second of intended time
ROUNDS = 5
MEBI = 1 << 20


def spec() -> JudgeSpec:
    def metric(name: str, kind: Kind, column: str, quantile: float | None = None) -> MetricSpec:
        margin = Margin(0.1, relative=True)
        return MetricSpec(
            name, kind, Role.GUARDRAIL, column, False, margin, quantile=quantile, max_observations=10**9
        )

    metrics = (
        metric("errorRate", Kind.BINARY, "error"),
        metric("meanLatency", Kind.MEAN, "latency"),
        metric("p99", Kind.QUANTILE, "latency", 0.99),
    )
    return JudgeSpec("v1", ("v2",), metrics, look_interval=10.0, max_duration=1e9)


def observations(first: int, size: int) -> Any:
    """A record batch of the rows from `first` on."""
    rng = np.random.default_rng(first)
    arm = pa.DictionaryArray.from_arrays(pa.array(rng.integers(0, 2, size, np.int8)), pa.array(["v1", "v2"]))
    columns = {
        "arm": arm,
        "time": START + (first + np.arange(size)) / RATE,
        "latency": rng.lognormal(-4, 0.5, size),
        "status": np.where(rng.random(size) < 0.005, 500, 200).astype(np.int16),
    }
    return pa.record_batch(columns)


def write(path: Path, rows: int) -> Path:
    size = MEBI
    schema = observations(0, 1).schema
    with parquet.ParquetWriter(path, schema, use_dictionary=["arm", "status"]) as writer:
        for first in range(0, rows, size):
            writer.write_batch(observations(first, min(size, rows - first)))
    return path


def from_file(path: Path) -> Evidence:
    plan = spec()
    source = open_source(path, metric_columns(plan.metrics))
    for _ in source.scan():
        pass
    return summed(source.batches())


def summed(batches: Iterator[Any]) -> Evidence:
    plan = spec()
    cutter, builder = LookCutter(plan), EvidenceBuilder(plan)
    for batch in batches:
        for piece in cutter.feed(batch):
            if isinstance(piece, Block):
                builder.add(piece.observations)
    for piece in cutter.close():
        if isinstance(piece, Block):
            builder.add(piece.observations)
    return builder.evidence


def in_memory(batches: list[Any]) -> Evidence:
    builder = EvidenceBuilder(spec())
    for batch in batches:
        builder.add(batch)
    return builder.evidence


def plain(batches: list[Any]) -> tuple[np.ndarray, ...]:
    """The peer: what anybody would write."""
    table = pa.Table.from_batches(batches).combine_chunks()
    arm = table["arm"].chunk(0).indices.to_numpy()
    moment, latency = table["time"].to_numpy(), table["latency"].to_numpy()
    failed = table["status"].to_numpy() >= 400
    cell = np.floor(moment - START).astype(np.int64) * 2 + arm
    answered = ~failed
    sums = np.bincount(cell[answered], latency[answered])
    return np.bincount(cell), np.bincount(cell[failed]), sums


def plain_file(path: Path) -> None:
    plain(parquet.read_table(path, read_dictionary=["arm"], use_threads=False).to_batches())


def rate_of(rows: int, do: Callable[[], object]) -> float:
    """Observations a second, the median of the rounds."""
    rates: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        do()
        rates.append(rows / (time.perf_counter() - began))
    return statistics.median(rates)


def growth_of(path: Path, rows: int) -> tuple[float, float, int]:
    """MB by which a process grows that makes evidence of a file, its peak, and the observations it counted.

    Linux hands the peak of a process down to what it starts: call this while this one is small still.
    """
    run([sys.executable, __file__, "--write", str(path), "--long", str(rows)])
    growth, most, counted = run([sys.executable, __file__, "--file", str(path)]).split()
    return float(growth), float(most), int(counted)


def run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def grow(path: Path) -> None:
    in_memory([observations(0, 1000)])
    before = peak()
    evidence = from_file(path)
    print(peak() - before, peak(), int(evidence.requests.sum()))


def peak() -> float:
    """Peak resident memory in MB."""
    per_mb = MEBI if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / per_mb


def one_core() -> None:
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=8_000_000, help="of a round")
    parser.add_argument("--long", type=int, default=50_000_000, help="rows of the long file")
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    one_core()
    if options.file:
        grow(options.file)
        return 0
    if options.write:
        write(options.write, options.long)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        growth, most, counted = growth_of(Path(folder) / "long.parquet", options.long)
    good = [
        verdict(
            f"memory for a file of {counted:,} observations: {growth:.0f} MB more, {most:.0f} MB in all",
            f"under {GROWTH_BAR:.0f} MB more",
            growth < GROWTH_BAR and counted == options.long,
        )
    ]
    rows = options.rows
    batches = [observations(first, MEBI) for first in range(0, rows, MEBI)]
    rows = len(batches) * MEBI
    good.append(
        rate_told("from memory", MEMORY_BAR, rows, lambda: in_memory(batches), lambda: plain(batches))
    )
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "short.parquet", rows)
        good.append(
            rate_told("from Parquet", FILE_BAR, rows, lambda: from_file(path), lambda: plain_file(path))
        )
    return 0 if all(good) else 1


def rate_told(
    what: str, bar: float, rows: int, ours: Callable[[], object], theirs: Callable[[], object]
) -> bool:
    theirs()  # the first round of either finds the memory cold
    peer, rate = rate_of(rows, theirs), rate_of(rows, ours)
    print(f"{what}: a plain group-by {peer / 1e6:.1f} million a second, ours {rate / peer:.2f} times it")
    return verdict(f"{what}: {rate / 1e6:.1f} million a second", f"at least {bar / 1e6:.0f}", rate >= bar)


def verdict(what: str, bar: str, good: bool) -> bool:
    print(f"{what}; bar {bar}: {'met' if good else 'MISSED'}")
    return good


if __name__ == "__main__":
    sys.exit(main())
