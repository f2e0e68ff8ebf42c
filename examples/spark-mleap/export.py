"""Exports a fitted Spark ML pipeline as an MLeap bundle: `session()` instead of your own, then `export(...)`.

Needs Spark 3.5 (`pip install "pyspark>=3.5,<3.6"`) and Java 17. `python export.py pipeline.zip` trains and
exports a small one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import OneHotEncoder, StringIndexer, VectorAssembler
from pyspark.sql import DataFrame, SparkSession

HERE = Path(__file__).resolve().parent


def session() -> SparkSession:
    """A local Spark that can export. On a cluster, give the same two settings to spark-submit."""
    return (
        SparkSession.builder.master("local[1]")
        .config("spark.jars.packages", "ml.combust.mleap:mleap-spark_2.12:0.16.0")
        .config("spark.driver.extraJavaOptions", f"-Dconfig.file={HERE / 'mleap-spark.conf'}")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1")
        .getOrCreate()
    )


def export(model: PipelineModel, rows: DataFrame, path: Path) -> None:
    """Write the bundle to `path`, which ends in .zip; `rows`: any that `model` takes, no label."""
    path = path.resolve()
    unfinished = path.with_name(f".{path.name}")
    unfinished.unlink(missing_ok=True)
    serializer = rows.sparkSession._jvm.ml.combust.mleap.spark.SimpleSparkSerializer()
    try:
        serializer.serializeToBundle(
            model._to_java(), f"jar:{unfinished.as_uri()}", model.transform(rows)._jdf
        )
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def train(spark: SparkSession) -> tuple[PipelineModel, DataFrame]:
    """A classifier of a text, a number and a whole number, and the rows that it was trained on."""
    colours = ["red", "green", "blue"]
    rows = [
        (colours[i % 3], (i * 37 % 101) / 50 - 1, i % 7, float(i * 37 % 101 > 20 * (i % 3) + 30))
        for i in range(200)
    ]
    data = spark.createDataFrame(rows, "colour string, size double, count int, label double")
    stages = [
        StringIndexer(inputCol="colour", outputCol="colourIndex"),
        OneHotEncoder(inputCols=["colourIndex"], outputCols=["colourVector"]),
        VectorAssembler(inputCols=["colourVector", "size", "count"], outputCol="features"),
        LogisticRegression(maxIter=5, regParam=0.1),
    ]
    return Pipeline(stages=stages).fit(data), data.drop("label")


if __name__ == "__main__":
    started = session()
    export(*train(started), Path(sys.argv[1]))
    started.stop()
