"""On which rows and slices the candidate loses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from experiments.histories import SLOWER, run
from fairtrial.errors import UsageError
from fairtrial.explanation.explain import Rows, as_text, explain
from fairtrial.explanation.losses import losing_slices, worst_rows
from fairtrial.explanation.rows import Compared, Measure, compare
from fairtrial.explanation.slices import search

ROWS = 600


def dataset(rng: np.random.Generator, features: int = 20) -> pa.Table:
    columns: dict[str, object] = {f"x{n}": rng.normal(size=ROWS) for n in range(features)}
    return pa.table(
        {
            "digit": np.arange(ROWS) % 10,
            "region": rng.choice(["north", "south", "east"], ROWS),
            **columns,
        }
    )


def compared(baseline: np.ndarray, candidate: np.ndarray, measure: Measure = Measure.SCORE) -> Compared:
    said: list[str | None] = [None] * baseline.size
    return Compared(
        measure, np.arange(baseline.size), baseline.astype(float), candidate.astype(float), (said, said)
    )


def observation(arm: str, row: int | None, score: float | None, **other: object) -> dict[str, object]:
    return {"arm": arm, "time": 1.0, "latency": 0.01, "status": 200, "row": row, "score": score} | other


def table(*observations: dict[str, object]) -> pa.Table:
    names = dict.fromkeys(name for each in observations for name in each)
    columns = {name: [each.get(name) for each in observations] for name in names}
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def test_a_row_counts_once_as_it_was_first_answered() -> None:
    found = compare(
        table(
            observation("v1", 3, 1.0),
            observation("v2", 3, 1.0, time=5.0),
            observation("v2", 3, 0.0, time=2.0),
            observation("v2", 4, 0.0),
            observation("v2", None, 0.0),
        ),
        "v1",
        "v2",
    )
    assert found is not None
    assert found.row.tolist() == [3]
    assert found.difference.tolist() == [1.0]


def test_a_failed_request_is_a_wrong_answer() -> None:
    found = compare(table(observation("v1", 0, 1.0), observation("v2", 0, None, status=500)), "v1", "v2")
    assert found is not None
    assert found.candidate.tolist() == [1.0]


def test_errors_of_a_regressor_are_compared_as_they_are() -> None:
    found = compare(
        table(
            observation("v1", 0, None, absoluteError=0.5),
            observation("v2", 0, None, absoluteError=2.0),
            observation("v1", 1, None, absoluteError=0.5),
            observation("v2", 1, None, absoluteError=None, status=500),
        ),
        "v1",
        "v2",
    )
    assert found is not None
    assert (found.measure, found.difference.tolist()) == (Measure.ABSOLUTE_ERROR, [1.5])


def test_without_scores_the_median_latencies_of_a_row_are_compared() -> None:
    found = compare(
        table(
            *(observation("v1", 0, None, latency=latency) for latency in (0.01, 0.02, 9.0)),
            observation("v2", 0, None, latency=0.05),
        ),
        "v1",
        "v2",
    )
    assert found is not None
    assert found.measure is Measure.LATENCY
    assert (found.baseline[0], found.candidate[0]) == (0.02, 0.05)
    paragraph = worst_rows(found, "v2", "v1", None, None)
    assert paragraph.points == ("row 0: v2 took 50 ms, v1 20 ms",)


def test_arms_that_never_saw_the_same_row_are_not_compared() -> None:
    assert compare(table(observation("v1", 0, 1.0), observation("v2", 1, 1.0)), "v1", "v2") is None
    assert compare(table(observation("v1", None, 1.0), observation("v2", None, 1.0)), "v1", "v2") is None


def test_the_worst_rows_are_listed_with_what_was_said_and_what_is_true() -> None:
    observations = [observation(arm, row, 1.0, prediction="1") for arm in ("v1", "v2") for row in range(9)]
    observations[9 + 4] |= {"score": 0.0, "prediction": "7"}
    found = compare(table(*observations), "v1", "v2")
    assert found is not None
    data = pa.table({"digit": [1] * 9})
    paragraph = worst_rows(found, "v2", "v1", data, "digit")
    assert "wrong on 1 that v1 gets right, and right on 0" in paragraph.text
    assert paragraph.points == ("row 4 (target 1): v2 said 7, v1 1",)


def test_a_slice_on_which_the_candidate_loses_is_found_and_named_first() -> None:
    rng = np.random.default_rng(5)
    data = dataset(rng)
    digit = data["digit"].to_numpy()
    wrong = rng.uniform(size=ROWS) < 0.08
    candidate = np.where(digit == 8, rng.uniform(size=ROWS) < 0.45, wrong & (rng.uniform(size=ROWS) < 0.8))
    found = search(compared(wrong, candidate), data, "digit")
    assert found.found[0].name == "digit = 8"
    assert found.found[0].rows == 60
    assert found.looked_at > 30
    paragraph = losing_slices(compared(wrong, candidate), "v2", data, "digit")
    assert paragraph.points[0].startswith("digit = 8 (60 rows): wrong on 4")
    assert "Benjamini-Hochberg" in paragraph.text


def test_a_numeric_slice_is_found_by_a_regressors_errors() -> None:
    rng = np.random.default_rng(6)
    data = dataset(rng)
    low = data["x3"].to_numpy() < np.quantile(data["x3"].to_numpy(), 0.25)
    baseline = rng.exponential(size=ROWS)
    found = search(
        compared(baseline, baseline + rng.normal(size=ROWS) * 0.3 + low, Measure.ABSOLUTE_ERROR), data, None
    )
    assert found.found[0].name.startswith("x3 from")


def test_where_nothing_differs_hardly_any_search_names_a_slice() -> None:
    """At 5% over 100 searches; the bound is three standard errors above."""
    rng = np.random.default_rng(7)
    data = dataset(rng, features=6)
    named = 0
    for _ in range(100):
        baseline, candidate = rng.uniform(size=(2, ROWS)) < 0.15
        named += bool(search(compared(baseline, candidate), data, "digit").found)
    assert named / 100 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 100)


def test_a_candidate_that_is_worse_everywhere_has_no_slice_to_show() -> None:
    rng = np.random.default_rng(8)
    data = dataset(rng)
    baseline = rng.uniform(size=ROWS) < 0.05
    candidate = baseline | (rng.uniform(size=ROWS) < 0.25)
    paragraph = losing_slices(compared(baseline, candidate), "v2", data, "digit")
    assert "None stands out" in paragraph.text
    assert "It loses overall" in paragraph.text


def test_features_of_every_kind_are_cut() -> None:
    rng = np.random.default_rng(9)
    kinds = pa.table(
        {
            "text": pa.array(rng.choice(["a", "b"], ROWS)).dictionary_encode(),
            "flag": pa.array(rng.uniform(size=ROWS) < 0.5),
            "gap": pa.array(np.where(rng.uniform(size=ROWS) < 0.3, np.nan, 1.0), from_pandas=True),
            "constant": np.ones(ROWS),
            "when": pa.array([0] * ROWS, pa.timestamp("s")),
            "count": pa.array(rng.integers(0, 1000, ROWS), pa.int32()),
        }
    )
    baseline, candidate = rng.uniform(size=(2, ROWS)) < 0.3
    # two texts, two flags, the gap, four quarters of the count; constants and times say nothing
    assert search(compared(baseline, candidate), kinds, None).looked_at == 9


def test_another_data_set_than_the_replayed_one_is_refused() -> None:
    right = np.zeros(20)
    with pytest.raises(UsageError, match="has 5 rows, but the run sent row 19"):
        losing_slices(compared(right, right), "v2", pa.table({"x": range(5)}), None)


def test_the_whole_explanation_reads_from_top_to_bottom(tmp_path: Path) -> None:
    history = run(tmp_path, SLOWER)
    data = pa.table({"digit": np.arange(719) % 10})
    rows = Rows(pq.read_table(history.observations), data, "digit")
    headings = [paragraph.heading for paragraph in explain(history, rows)]
    assert headings == [
        "Why",
        "The claims",
        "What would have changed it",
        "Rows on which v2 loses",
        "Slices on which v2 loses",
    ]
    text = as_text(explain(history, rows), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "v2 was rolled back: v1 stays in service." in text
    nothing = dataclasses.replace(history, verdicts=())
    assert "nothing to explain" in as_text(explain(nothing, rows))
    unknown = Rows(pa.table({"arm": ["v1"], "time": [0.0], "latency": [0.1], "status": [200]}))
    assert "cannot be compared row by row" in " ".join(as_text(explain(history, unknown)).split())
