"""`python spark_pipelines.py FOLDER`: trains pipelines in Spark, exports them by the example's recipe, and
writes beside each bundle what Spark itself predicts. Run in a process of its own, for it starts a Java VM."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

from pyspark.ml import Pipeline
from pyspark.ml.classification import DecisionTreeClassifier
from pyspark.ml.feature import IndexToString, StringIndexer, VectorAssembler
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.ml.regression import RandomForestRegressor
from pyspark.sql.types import DoubleType, StructField, StructType

RECIPE = Path(__file__).resolve().parents[2] / "examples" / "spark-mleap" / "export.py"


def plain(value):
    return value.toArray().tolist() if hasattr(value, "toArray") else value


def keep(recipe, name, model, rows, columns, folder):
    recipe.export(model, rows, folder / f"{name}.zip")
    predicted = model.transform(rows).select(*rows.columns, *columns).collect()
    written = {column: [plain(row[column]) for row in predicted] for column in (*rows.columns, *columns)}
    (folder / f"{name}.json").write_text(json.dumps(written))


def forest(spark):
    """Of one vector."""
    schema = StructType([StructField("features", VectorUDT()), StructField("label", DoubleType())])
    data = spark.createDataFrame(
        [(Vectors.dense([i % 5, i / 10, -i % 3]), float(i % 5 * 2 + i % 3)) for i in range(60)], schema
    )
    stages = [RandomForestRegressor(numTrees=3, maxDepth=3, seed=1)]
    return Pipeline(stages=stages).fit(data), data.drop("label")


def lenient(spark):
    """A tree that answers in words, and takes words that it does not know."""
    rows = [("abc"[i % 3], float(i % 4), "yes" if i % 3 == 1 or i % 4 == 3 else "no") for i in range(48)]
    data = spark.createDataFrame(rows, "word string, number double, wanted string")
    indexed = StringIndexer(inputCol="wanted", outputCol="label").fit(data)
    stages = [
        StringIndexer(inputCol="word", outputCol="index", handleInvalid="keep"),
        VectorAssembler(inputCols=["index", "number"], outputCol="features"),
        DecisionTreeClassifier(maxDepth=4),
        IndexToString(inputCol="prediction", outputCol="answer", labels=indexed.labels),
    ]
    asked = spark.createDataFrame(
        [("a", 1.0), ("b", 0.0), ("unheard", 3.0), (None, 2.0)], "word string, number double"
    )
    return Pipeline(stages=stages).fit(indexed.transform(data).drop("wanted")), asked


def main(folder: Path) -> None:
    found = importlib.util.spec_from_file_location("recipe", RECIPE)
    recipe = importlib.util.module_from_spec(found)
    found.loader.exec_module(recipe)
    spark = recipe.session()
    keep(recipe, "colours", *recipe.train(spark), ["prediction", "probability"], folder)
    keep(recipe, "forest", *forest(spark), ["prediction"], folder)
    keep(recipe, "lenient", *lenient(spark), ["answer", "probability"], folder)
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
