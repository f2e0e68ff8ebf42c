"""What batch scoring costs beside the model's own work, beside `mlflow models predict`, and in memory.

    uv run benchmarks/score.py

The bare estimator: one `predict` on the whole matrix in memory, nothing read or written. Ours: `python -m
fairtrial_servers.score` from Parquet to Parquet, the whole process with its imports, and beside it the same
without them. `mlflow models predict` has the logistic regression, whose own work is next to nothing, and the
same rows, both from CSV; under a costly model the tools' own work does not show. All in
processes of their own, one after the other in turn, on one core with one thread, and by the CPU seconds that
each used, which a busy machine disturbs less than its clock. Ends with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

BARE_BAR = 0.7  # of the bare estimator's speed, for a model whose predictions cost something
MLFLOW_BAR = 5.0  # times its speed
MEMORY_BAR = 500.0  # MB
FEATURES = 32
GROUP = 1 << 16
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}

CHEAP = "logistic regression"
MODELS: dict[str, Callable[[], Any]] = {
    "gradient boosting, 200 rounds": lambda: HistGradientBoostingClassifier(
        max_iter=200, early_stopping=False
    ),
    "forest of 100 trees": lambda: RandomForestClassifier(100, min_samples_leaf=5, random_state=0),
    CHEAP: LogisticRegression,
}
REALISTIC = [name for name in MODELS if name != CHEAP]


def rows_of(first: int, size: int) -> Any:
    rng = np.random.default_rng(first)
    return pa.table({f"f{index}": rng.normal(size=size) for index in range(FEATURES)})


def write(path: Path, rows: int) -> None:
    with parquet.ParquetWriter(path, rows_of(0, 0).schema, use_dictionary=False) as writer:
        for first in range(0, rows, GROUP):
            writer.write_table(rows_of(first, min(GROUP, rows - first)))


def train(folder: Path) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20_000, FEATURES))
    y = (x[:, 0] + x[:, 1] * x[:, 2] + rng.normal(size=len(x)) > 0).astype(int)
    for name, make in MODELS.items():
        fitted = make().fit(x, y)
        joblib.dump(fitted, folder / f"{name}.joblib")
        if name == CHEAP:
            import mlflow.sklearn

            mlflow.sklearn.save_model(fitted, folder / "mlflow", serialization_format="cloudpickle")


def bare(model: Path, data: Path) -> None:
    table = parquet.read_table(data)
    matrix = np.column_stack([column.to_numpy() for column in table.columns])
    del table
    estimator = joblib.load(model)
    estimator.predict(matrix[:100])
    began = time.process_time()
    estimator.predict(matrix)
    print(time.process_time() - began)


def warm(model: Path, data: Path, out: Path) -> None:
    """The verb in a process that has its imports behind it."""
    from fairtrial_servers.scoring.job import score
    from fairtrial_servers.scoring.options import Options, locate
    from fairtrial_servers.scoring.progress import Silent

    first = data.with_name("first.parquet")
    for rows in (first, data):
        began = time.process_time()
        score(Options(str(model), locate(str(rows)), locate(str(out)), restart=True), Silent())
    print(time.process_time() - began)


#: Starts a process from a small one: Linux hands the peak of a process down to what it starts.
_LAUNCH = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, file=sys.stderr)
sys.exit(code)
"""


def run(argv: list[object]) -> tuple[str, float, float]:
    """What a process printed, its CPU seconds, and its peak memory in MB."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", _LAUNCH, *map(str, argv)],
        env={**os.environ, **ONE_THREAD},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{argv} failed: {done.stderr[-2000:]}")
    cpu, memory = done.stderr.splitlines()[-1].split()
    return done.stdout, float(cpu), float(memory)


def ours(model: Path, data: Path, out: Path) -> tuple[float, float]:
    argv = [sys.executable, "-m", "fairtrial_servers.score", model, data, "--out", out, "--restart"]
    _, cpu, memory = run(argv)
    return cpu, memory


def against_bare(folder: Path, rounds: int) -> tuple[list[bool], float]:
    data, out, peak = folder / "rows.parquet", folder / "out.parquet", 0.0
    good: list[bool] = []
    head = ("model", "bare", "the verb", "ratio", "without imports", "ratio")
    print("| {:<30} | {:>8} | {:>8} | {:>6} | {:>15} | {:>6} |".format(*head))
    for name in MODELS:
        model = folder / f"{name}.joblib"
        taken: list[tuple[float, float, float]] = []
        for _ in range(rounds):
            alone = float(run([sys.executable, __file__, "--bare", model, data])[0])
            whole, memory = ours(model, data, out)
            inside = float(run([sys.executable, __file__, "--warm", model, data, out])[0].splitlines()[-1])
            taken.append((alone, whole, inside))
            peak = max(peak, memory)
        alone, whole, inside = (statistics.median(column) for column in zip(*taken, strict=True))
        ratio, without = alone / whole, alone / inside
        figures = (name, alone, whole, ratio, inside, without)
        print("| {:<30} | {:>6.2f} s | {:>6.2f} s | {:>6.2f} | {:>13.2f} s | {:>6.2f} |".format(*figures))
        if name in REALISTIC:
            good.append(
                verdict(f"{name}: {ratio:.2f} times the bare speed", f"{BARE_BAR}", ratio >= BARE_BAR)
            )
    return good, peak


def against_mlflow(folder: Path, rows: int, rounds: int) -> bool:
    few = folder / "few.csv"
    csv.write_csv(rows_of(0, rows), few)
    argv = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "predict",
        "-m",
        folder / "mlflow",
        "-i",
        few,
        "-t",
        "csv",
    ]
    argv += ["-o", folder / "mlflow.json", "--env-manager", "local"]
    pairs: list[tuple[float, float]] = []
    for _ in range(rounds):
        theirs = run(list(argv))[1]
        pairs.append((theirs, ours(folder / f"{CHEAP}.joblib", few, folder / "few.out.csv")[0]))
    theirs, mine = (statistics.median(column) for column in zip(*pairs, strict=True))
    answers = json.loads((folder / "mlflow.json").read_text())["predictions"]
    said = csv.read_csv(folder / "few.out.csv")["predict"].to_pylist()
    assert said == [row if isinstance(row, int) else row["0"] for row in answers]
    print(f"{rows:,} rows from CSV: mlflow models predict {theirs:.2f} s, the verb {mine:.2f} s")
    return verdict(
        f"{theirs / mine:.1f} times mlflow models predict", f"{MLFLOW_BAR:.0f}", theirs / mine >= MLFLOW_BAR
    )


def verdict(what: str, bar: str, good: bool) -> bool:
    print(f"{what}; bar {bar}: {'met' if good else 'MISSED'}", flush=True)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--mlflow-rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    folder = Path(tempfile.mkdtemp(prefix="fairtrial-score-"))
    try:
        train(folder)
        write(folder / "rows.parquet", options.rows)
        write(folder / "first.parquet", 1000)
        good, peak = against_bare(folder, options.rounds)
        good.append(verdict(f"peak memory {peak:.0f} MB", f"{MEMORY_BAR:.0f}", peak < MEMORY_BAR))
        good.append(against_mlflow(folder, options.mlflow_rows, options.rounds))
    finally:
        shutil.rmtree(folder)
    return 0 if all(good) else 1


if __name__ == "__main__":
    parts = {"--bare": bare, "--warm": warm}
    if sys.argv[1:] and sys.argv[1] in parts:
        parts[sys.argv[1]](*map(Path, sys.argv[2:]))
        sys.exit(0)
    sys.exit(main())
