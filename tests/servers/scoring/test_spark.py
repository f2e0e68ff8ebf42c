"""Scoring on a real Spark of two cores: the rows and predictions of the local engine, one load a worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyspark", reason="Spark is an extra: uv sync --group spark")

from pyarrow import parquet
from servers.scoring.outputs import read

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300)]

#: Where Python workers import this at their start, each load of a model leaves a file.
_COUNTING = """
import os, uuid
import fairtrial_servers.scoring.model as model
load = model.load
def counted(*args):
    open(os.path.join(os.environ["LOADS"], f"{os.getpid()}-{uuid.uuid4().hex}"), "w").close()
    return load(*args)
model.load = counted
"""


def on_spark(*args: object, **environment: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "fairtrial_servers.score", *map(str, args), "--engine", "spark"]
    told = {
        **os.environ,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": "--master local[2] --conf spark.ui.enabled=false "
        "--conf spark.sql.files.maxPartitionBytes=40000 pyspark-shell",
        **environment,
    }
    return subprocess.run(argv, capture_output=True, text=True, env=told, timeout=280, check=False)


def test_the_output_is_that_of_the_local_engine_and_each_worker_loads_the_model_once(
    score, model, data, table, tmp_path
):
    (tmp_path / "site").mkdir()
    (tmp_path / "loads").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_COUNTING)
    environment = {"PYTHONPATH": str(tmp_path / "site"), "LOADS": str(tmp_path / "loads")}
    result = on_spark(model, data, "--out", f"{tmp_path}/spark/", "--outputs", "predict_proba", **environment)
    assert result.returncode == 0, result.stderr
    assert f"{table.num_rows:,} rows in" in result.stdout
    score(model, data, f"{tmp_path}/local/", outputs="predict_proba")
    parts = [file for file in Path(tmp_path / "spark").iterdir() if file.suffix == ".parquet"]
    assert len(parts) > 2  # more tasks than workers
    by_spark = parquet.read_table(parts).sort_by("id")
    local = read(tmp_path / "local")
    assert by_spark.select(local.column_names).equals(local)
    loads = [file.name.partition("-")[0] for file in (tmp_path / "loads").iterdir()]
    assert len(loads) == len(set(loads)) <= 3  # this process and two workers


def test_a_row_that_the_model_does_not_take_is_one_sentence(model, table, tmp_path):
    rows = table.to_pandas()
    rows.loc[4000, "a"] = None
    rows.to_parquet(tmp_path / "in.parquet", row_group_size=1000)
    result = on_spark(model, tmp_path / "in.parquet", "--out", f"{tmp_path}/out/", "--batch-rows", 1000)
    assert result.returncode == 2
    assert 'of one of Spark\'s tasks: column "a": the cell is empty' in result.stderr.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet"]
