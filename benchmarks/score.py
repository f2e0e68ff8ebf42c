"""What batch scoring costs beside the model's own work, beside `mlflow models predict`, and in memory.

    uv run benchmarks/score.py

The bare estimator: one `predict` on the whole matrix in memory, nothing read or written. Ours: `python -m
fairtrial_servers.score` from Parquet to Parquet, the whole process with its imports, and beside it the same
without them.

`mlflow models predict` has the logistic regression, whose own work is next to nothing; under a costly model
the tools' own work does not show. It reads CSV or JSON and writes JSON with the predictions alone; the verb
writes all columns and the predictions. Two rows: the verb from CSV to CSV, on the very file that MLflow
reads, and from Parquet to Parquet, the same numbers in a format that MLflow does not read. Beside them a
process that does no more than it must: it imports the model's part of scikit-learn, has pyarrow parse that
CSV file on one thread, and predicts. What pyarrow's own CSV writer takes is shown, and in none of the sums.

All in processes of their own, one after the other in turn, on one core with one thread, and by the CPU
seconds that each used, which a busy machine disturbs less than its clock. Ends with 1 if a bar is missed.
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

BARE_BAR = 0.7  # of the bare estimator's speed, for a model whose predictions cost something
MLFLOW_BAR = 5.0  # times its speed
MEMORY_BAR = 500.0  # MB
FEATURES = 32
GROUP = 1 << 16
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}

CHEAP = "logistic regression"


def _boosting() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=200, early_stopping=False)


def _forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(100, min_samples_leaf=5, random_state=0)


def _logistic() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


# Each imports its own part of scikit-learn, so that no measured process imports another model's.
MODELS: dict[str, Callable[[], Any]] = {
    "gradient boosting, 200 rounds": _boosting,
    "forest of 100 trees": _forest,
    CHEAP: _logistic,
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


_NOT_COMPILED = "PYTHONDONTWRITEBYTECODE"
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
        # Modules are compiled once, as they are where packages are installed.
        env={key: value for key, value in {**os.environ, **ONE_THREAD}.items() if key != _NOT_COMPILED},
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


def floor(model: Path, data: Path, out: Path) -> None:
    """CPU seconds: of a process until it has its model, of parsing, of predicting, of writing all back."""
    moments = [0.0]
    estimator = joblib.load(model)
    moments.append(time.process_time())
    types = {f"f{index}": pa.float64() for index in range(FEATURES)}
    read = csv.ReadOptions(use_threads=False, block_size=1 << 20)
    convert = csv.ConvertOptions(column_types=types)
    table = csv.read_csv(data, read_options=read, convert_options=convert)
    moments.append(time.process_time())
    for batch in table.to_batches(1 << 14):
        estimator.predict(np.column_stack([column.to_numpy() for column in batch.columns]))
    moments.append(time.process_time())
    csv.write_csv(table, out)
    moments.append(time.process_time())
    print(json.dumps(np.diff(moments).tolist()))


def against_mlflow(folder: Path, rows: int, rounds: int) -> tuple[list[bool], float]:
    few = folder / "few.csv"
    model = folder / f"{CHEAP}.joblib"
    table = rows_of(0, rows)
    csv.write_csv(table, few)
    parquet.write_table(table, folder / "few.parquet", use_dictionary=False, row_group_size=GROUP)
    del table
    argv: list[object] = [sys.executable, "-m", "mlflow", "models", "predict", "-m", folder / "mlflow"]
    argv += ["-i", few, "-t", "csv", "-o", folder / "mlflow.json", "--env-manager", "local"]
    taken: list[tuple[float, ...]] = []
    peaks: list[float] = []
    for _ in range(rounds):
        _, theirs, their_peak = run(argv)
        from_csv, peak = ours(model, few, folder / "few.out.csv")
        from_parquet, _ = ours(model, folder / "few.parquet", folder / "few.out.parquet")
        least = json.loads(run([sys.executable, __file__, "--floor", model, few, folder / "floor.csv"])[0])
        taken.append((theirs, from_csv, from_parquet, *least))
        peaks.append(peak)
    theirs, from_csv, from_parquet, start, parse, predict, back = np.median(taken, axis=0).tolist()
    answers = json.loads((folder / "mlflow.json").read_text())["predictions"]
    said = csv.read_csv(folder / "few.out.csv")["predict"].to_pylist()
    assert said == [row if isinstance(row, int) else row["0"] for row in answers]
    assert said == parquet.read_table(folder / "few.out.parquet")["predict"].to_pylist()
    least = start + parse + predict
    print(f"{rows:,} rows, mlflow models predict from CSV: {theirs:.2f} s, {their_peak:.0f} MB")
    print(
        f"imports and model {start:.2f} s, pyarrow's parsing {parse:.2f} s, predictions {predict:.2f} s: "
        f"{least:.2f} s, {theirs / least:.1f} times mlflow; pyarrow's writing the file back {back:.2f} s"
    )
    good: list[bool] = []
    for how, mine in (("CSV to CSV", from_csv), ("Parquet to Parquet", from_parquet)):
        ratio = theirs / mine
        what = f"the verb, {how}: {mine:.2f} s, {ratio:.1f} times mlflow models predict from CSV"
        good.append(verdict(what, f"{MLFLOW_BAR:.0f}", ratio >= MLFLOW_BAR))
    return good, max(peaks)


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
        more, csv_peak = against_mlflow(folder, options.mlflow_rows, options.rounds)
        peak = max(peak, csv_peak)
        good += [*more, verdict(f"peak memory {peak:.0f} MB", f"{MEMORY_BAR:.0f}", peak < MEMORY_BAR)]
    finally:
        shutil.rmtree(folder)
    return 0 if all(good) else 1


if __name__ == "__main__":
    parts = {"--bare": bare, "--warm": warm, "--floor": floor}
    if sys.argv[1:] and sys.argv[1] in parts:
        parts[sys.argv[1]](*map(Path, sys.argv[2:]))
        sys.exit(0)
    sys.exit(main())
