"""What batch scoring costs beside the model's own work, beside `mlflow models predict`, and in memory.

    uv run benchmarks/score.py

The bare estimator: one `predict` on the whole matrix in memory, nothing read or written. Ours: `python -m
fairtrial_servers.score` from Parquet to Parquet, the whole process with its imports, and beside it the same
without them.

`mlflow models predict` has the logistic regression, whose own work is next to nothing; under a costly model
the tools' own work does not show. It reads CSV or JSON and writes the predictions alone, and so does the verb
here, by `--only-predictions`: from CSV and from JSON lines with the same numbers, and from Parquet, which
MLflow does not read, beside MLflow from CSV. Beside CSV also a process that does no more than it must: it
imports the model's part of scikit-learn, has pyarrow parse that file on one thread, and predicts.

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
from pyarrow import json as arrow_json

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


def ours(model: Path, data: Path, out: Path, *options: str) -> tuple[float, float]:
    argv: list[object] = [sys.executable, "-m", "fairtrial_servers.score", model, data, "--out", out]
    argv += ["--restart", *options]
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


def floor(model: Path, data: Path) -> None:
    """CPU seconds: of a process until it has its model, of parsing, of predicting."""
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
    print(json.dumps(np.diff(moments).tolist()))


def write_rows(folder: Path, rows: int) -> None:
    """The same numbers in every format: few.csv, few.parquet, few.jsonl, and few.json as MLflow reads it."""
    table = rows_of(0, rows)
    csv.write_csv(table, folder / "few.csv")
    parquet.write_table(table, folder / "few.parquet", use_dictionary=False, row_group_size=GROUP)
    head = json.dumps(table.column_names)
    with (folder / "few.jsonl").open("w") as lines, (folder / "few.json").open("w") as document:
        document.write(f'{{"dataframe_split": {{"columns": {head}, "data": [')
        between = ""
        for batch in table.to_batches(GROUP):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                document.write(f"{between}{json.dumps(row)}")
                lines.write(json.dumps(dict(zip(table.column_names, row, strict=True))) + "\n")
                between = ","
        document.write("]}}")


def mlflow_predict(folder: Path, kind: str) -> tuple[float, float, list[int]]:
    """CPU seconds, MB, and what it predicted."""
    out = folder / "mlflow.json"
    argv: list[object] = [sys.executable, "-m", "mlflow", "models", "predict", "-m", folder / "mlflow"]
    argv += ["-i", folder / f"few.{kind}", "-t", kind, "-o", out, "--env-manager", "local"]
    _, cpu, peak = run(argv)
    answers = json.loads(out.read_text())["predictions"]
    return cpu, peak, [row if isinstance(row, int) else row["0"] for row in answers]


def against_mlflow(folder: Path, rows: int, rounds: int) -> tuple[list[bool], float]:
    write_rows(folder, rows)
    model = folder / f"{CHEAP}.joblib"
    theirs: dict[str, list[float]] = {"csv": [], "json": []}
    mine: dict[str, list[float]] = {"csv": [], "jsonl": [], "parquet": []}
    least: list[list[float]] = []
    peaks = dict.fromkeys((*theirs, "ours"), 0.0)
    for _ in range(rounds):
        said: list[list[int]] = []
        for kind, taken in theirs.items():
            cpu, peak, predicted = mlflow_predict(folder, kind)
            taken.append(cpu)
            peaks[kind] = max(peaks[kind], peak)
            said.append(predicted)
        for kind, taken in mine.items():
            out = folder / f"few.out.{kind}"
            cpu, peak = ours(model, folder / f"few.{kind}", out, "--only-predictions")
            taken.append(cpu)
            peaks["ours"] = max(peaks["ours"], peak)
            read = {"csv": csv.read_csv, "jsonl": arrow_json.read_json, "parquet": parquet.read_table}[kind]
            said.append(read(out)["predict"].to_pylist())
        assert all(each == said[0] for each in said)
        least.append(json.loads(run([sys.executable, __file__, "--floor", model, folder / "few.csv"])[0]))
    their = {kind: statistics.median(cpu) for kind, cpu in theirs.items()}
    for kind, cpu in their.items():
        print(f"{rows:,} rows, mlflow models predict from {kind}: {cpu:.2f} s, {peaks[kind]:.0f} MB")
    start, parse, predict = np.median(least, axis=0).tolist()
    whole = start + parse + predict
    print(
        f"imports and model {start:.2f} s, pyarrow's parsing of CSV {parse:.2f} s, predictions "
        f"{predict:.2f} s: {whole:.2f} s, {their['csv'] / whole:.1f} times mlflow"
    )
    good: list[bool] = []
    for kind, beside in (("csv", "csv"), ("jsonl", "json"), ("parquet", "csv")):
        cpu = statistics.median(mine[kind])
        ratio = their[beside] / cpu
        what = f"the verb from {kind}: {cpu:.2f} s, {ratio:.1f} times mlflow models predict from {beside}"
        good.append(verdict(what, f"{MLFLOW_BAR:.0f}", ratio >= MLFLOW_BAR))
    return good, peaks["ours"]


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
