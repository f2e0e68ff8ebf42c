"""The same scoring on Spark, where one machine is not enough.

Spark reads the data and writes a folder of Parquet files; rows pass through the model in Arrow batches, in
Python workers that load it once each. Spark repeats tasks that fail; the folder appears when all are done. A
job that was killed as a whole begins anew.
"""

from __future__ import annotations

import importlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from fairtrial_servers.scoring.arrow import Batch, Schema
from fairtrial_servers.scoring.binding import bind
from fairtrial_servers.scoring.errors import RowError, ScoreError, first_line
from fairtrial_servers.scoring.job import Outcome, identify, joined_with, rows_of_batch
from fairtrial_servers.scoring.lock import Lock
from fairtrial_servers.scoring.model import Model, load
from fairtrial_servers.scoring.options import Options, check
from fairtrial_servers.scoring.predicting import Predictor
from fairtrial_servers.scoring.progress import Progress
from fairtrial_servers.scoring.reading import Source, open_source
from fairtrial_servers.scoring.resuming import check_same
from fairtrial_servers.scoring.writing import write_whole


def score_on_spark(options: Options, progress: Progress) -> Outcome:
    """Score with the Spark that `spark-submit` or the environment says; `local[*]` where nothing does.

    Raises ServerError: ScoreError for data, options and output, ModelError, UnsafeModelError.
    """
    began = time.monotonic()
    check(options)
    if options.out.kind != "folder" or options.data.kind not in ("parquet", "folder"):
        raise ScoreError("--engine spark reads Parquet and writes a folder of it: write --out NAME/")
    target = options.out.path
    work = target.with_name(f".{target.name}.scoring")
    record = target.with_name(f"{target.name}.scoring.json")
    lock = Lock(work / "lock", options.out.name)
    try:
        progress.phase("loading the model")
        model = load(options.model, options.parameters)
        source = open_source(options)
        identity = {**identify(options, model, source), "engine": "spark"}
        if target.exists() and not options.restart:
            if not record.exists():
                raise ScoreError(
                    f"{target} is there already, and was not written by this job: give --out another "
                    f"name, or replace it with --restart"
                )
            known = json.loads(record.read_text(encoding="utf-8"))
            check_same(str(target), known, identity)
            return Outcome(str(target), known["rows"], known["rows"], 0, 0.0, already_complete=True)
        schema = _first_answer(options, model, source)
        made = work / "out"
        progress.phase("scoring on Spark")
        _run(options, schema, str(made))
        rows, without = _counted(made, schema.names[-1])
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
        write_whole(record, (json.dumps({**identity, "rows": rows}, indent=2) + "\n").encode())
        return Outcome(str(target), rows, 0, without, time.monotonic() - began)
    finally:
        progress.end()
        shutil.rmtree(work / "out", ignore_errors=True)
        lock.release()
        if work.exists() and not any(work.iterdir()):
            work.rmdir()


def _first_answer(options: Options, model: Model, source: Source) -> Schema:
    """The columns of the output, from the first rows scored here: mistakes show before Spark has begun."""
    predictor = _predictor(options, model, source.schema, source.name)
    for batch in source.batches(rows_of_batch(options, source.schema), 0):
        return joined_with(options, source.name, batch, predictor.predict(batch, 0)).schema
    empty = pa.RecordBatch.from_pylist([], schema=source.schema)
    return joined_with(options, source.name, empty, predictor.no_rows()).schema


def _predictor(options: Options, model: Model, schema: Schema, name: str) -> Predictor:
    binding = bind(model.loaded.table_inputs(), schema, options.not_features, name, parsed=False)
    return Predictor(model.loaded, model.signature, binding, options, name)


def _run(options: Options, schema: Schema, made: str) -> None:
    failures = importlib.import_module("pyspark.errors").PySparkException
    schema_of = importlib.import_module("pyspark.sql.pandas.types").from_arrow_schema
    builder: Any = importlib.import_module("pyspark.sql").SparkSession.builder
    session: Any = builder.appName("fairtrial score").getOrCreate()
    session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(rows_of_batch(options, schema)))
    try:
        data = session.read.parquet(str(options.data.path.absolute()))
        scored = data.mapInArrow(_scorer(options, schema), schema_of(schema))
        scored.write.mode("overwrite").parquet(made)
    except failures as error:
        raise ScoreError(_words(str(error))) from error
    except Exception as error:
        if not type(error).__module__.startswith("py4j"):
            raise
        raise ScoreError(_words(str(error))) from error


def _counted(made: Path, column: str) -> tuple[int, int]:
    """Rows that were written, and those of them with nothing in a prediction column."""
    rows = without = 0
    for file in made.glob("*.parquet"):
        read = parquet.ParquetFile(file).read(columns=[column]).column(0)
        rows += len(read)
        without += read.null_count
    return rows, without


def _scorer(options: Options, schema: Schema) -> Callable[[Iterable[Batch]], Iterator[Batch]]:
    """What runs in Spark's Python workers. The model's address must mean the same on each machine."""

    def scored(batches: Iterable[Batch]) -> Iterator[Batch]:
        model = _loaded(options.model, tuple(sorted(options.parameters.items())))
        predictor: Predictor | None = None
        first = 0
        for batch in batches:
            if predictor is None:
                predictor = _predictor(options, model, batch.schema, options.data.name)
            try:
                predictions = predictor.predict(batch, first)
            except RowError as error:
                # Where in the data a task begins is not known to it.
                place = f", row {error.row + 1:,}"
                said = str(error).replace(place, f"{place} of one of Spark's tasks", 1)
                raise ScoreError(_MARK + said) from None
            first += batch.num_rows
            yield joined_with(options, options.data.name, batch, predictions).cast(schema)

    return scored


@lru_cache(maxsize=1)
def _loaded(address: str, parameters: tuple[tuple[str, str], ...]) -> Model:
    """The model, once for each Python worker, which serves many tasks."""
    return load(address, dict(parameters))


_MARK = "cannot score: "


def _words(said: str) -> str:
    """Our own sentence out of Spark's report of a failed task, or the first line of the report."""
    ours = [line.partition(_MARK)[2] for line in said.splitlines() if _MARK in line]
    return ours[0] if ours else f"Spark failed: {first_line(Exception(said))}"
