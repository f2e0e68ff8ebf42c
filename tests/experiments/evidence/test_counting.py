"""What observations are counted as, and what is kept out."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from experiments.streams import ACCURACY, ERRORS, LATENCY, START, Load, spec
from fairtrial.errors import UsageError
from fairtrial.evidence.builder import EvidenceBuilder
from fairtrial.judge.evidence import Evidence, Excluded, Exclusion, Stratum
from fairtrial.judge.geometry import quantile_buckets
from fairtrial.judge.notes import notes
from fairtrial.judge.spec import JudgeSpec, Kind, Margin, MetricSpec, Role

UNPAIRED = dataclasses.replace(ACCURACY, paired=False)
MEAN = MetricSpec("reward", Kind.MEAN, Role.OBJECTIVE, "reward", True, Margin(0.0), max_observations=1000)
NAN, INF = float("nan"), float("inf")


def observed(plan: JudgeSpec, **columns) -> Evidence:
    """Evidence of a few observations; columns that are not given are harmless."""
    n = len(next(iter(columns.values())))
    table = {
        "arm": ["v1"] * n,
        "time": [START + i * 0.01 for i in range(n)],
        "latency": [0.01] * n,
        "status": [200] * n,
    } | columns
    builder = EvidenceBuilder(plan)
    builder.add(pa.table(table))
    return builder.evidence


def excluded(evidence: Evidence) -> dict[Exclusion, int]:
    counts: dict[Exclusion, int] = {}
    for key, n in evidence.excluded.items():
        counts[key.reason] = counts.get(key.reason, 0) + n
    return counts


def test_counts_agree_with_a_count_by_hand():
    load = Load(seconds=8, rate=50, rows=120, failing=(0.05, 0.1), seed=11)
    table = load.table()
    plan = spec(
        ACCURACY, UNPAIRED_ALL := dataclasses.replace(UNPAIRED, name="all", once_per_row=False), ERRORS
    )
    builder = EvidenceBuilder(plan)
    builder.add(table)
    evidence = builder.evidence

    rows = table.to_pylist()
    origin = rows[0]["time"]
    requests: dict[tuple, int] = {}
    errors: dict[tuple, int] = {}
    right: dict[tuple, int] = {}
    halves: dict[int, dict[str, dict]] = {}
    cells: dict[tuple, int] = {}
    scored = set()
    for row in rows:
        stratum = Stratum(row["segment"], int((row["time"] - origin) // plan.batch_seconds))
        key = (stratum, row["arm"])
        failed = row["status"] >= 400
        requests[key] = requests.get(key, 0) + 1
        errors[key] = errors.get(key, 0) + failed
        right[key] = right.get(key, 0) + (not failed and row["score"] == 1)
        if row["pair"] is None:
            continue
        other = halves.setdefault(row["pair"], {})
        other[row["arm"]] = row
        if len(other) == 2 and row["row"] not in scored:
            scored.add(row["row"])
            values = [int(other[arm]["status"] < 400 and other[arm]["score"] == 1) for arm in ("v1", "v2")]
            cell = (stratum, 3 - 2 * values[0] - values[1])
            cells[cell] = cells.get(cell, 0) + 1

    for i, stratum in enumerate(evidence.strata):
        for a, arm in enumerate(("v1", "v2")):
            n = requests.get((stratum, arm), 0)
            assert evidence.requests[i, a] == n
            assert evidence.binary["errorRate"][i, a].tolist() == [n, errors.get((stratum, arm), 0)]
            assert evidence.binary[UNPAIRED_ALL.name][i, a].tolist() == [n, right.get((stratum, arm), 0)]
        assert evidence.pair_tables["accuracy"][i, 0].tolist() == [
            cells.get((stratum, c), 0) for c in range(4)
        ]
    assert sum(cells.values()) == evidence.pair_tables["accuracy"].sum() > 100


def test_no_answer_and_codes_from_400_are_errors():
    evidence = observed(spec(ERRORS), status=[200, 0, 302, 399, 400, 503, -1])
    assert evidence.binary["errorRate"].sum(axis=0)[0].tolist() == [7, 4]
    assert evidence.errors.sum() == 4


def test_a_row_counts_once_on_each_side_however_often_it_is_sent():
    evidence = observed(
        spec(UNPAIRED),
        arm=["v1", "v1", "v1", "v2", "v2"],
        row=[7, 7, 8, 7, 7],
        score=[1.0, 0.0, 0.0, 0.0, 1.0],
    )
    assert evidence.binary["accuracy"].sum(axis=0).tolist() == [[2, 1], [1, 0]]


def test_the_first_usable_score_of_a_row_is_the_one_that_counts():
    evidence = observed(spec(UNPAIRED), row=[7, 7], score=[NAN, 1.0])
    assert evidence.binary["accuracy"].sum(axis=0)[0].tolist() == [1, 1]


def test_scores_without_a_row_number_count_each_and_that_is_noted():
    evidence = observed(spec(UNPAIRED), row=pa.array([None, None, 3]), score=[1.0, 1.0, 1.0])
    assert evidence.binary["accuracy"].sum(axis=0)[0].tolist() == [3, 3]
    assert excluded(evidence) == {Exclusion.UNNUMBERED_ROW: 2}


def test_a_failed_request_is_a_wrong_answer_and_infinitely_slow():
    evidence = observed(
        spec(UNPAIRED, LATENCY),
        status=[500, 0],
        latency=[0.001, 0.001],
        score=pa.array([None, 1.0]),
        row=[1, 2],
    )
    assert evidence.binary["accuracy"].sum(axis=0)[0].tolist() == [2, 0]
    histogram = evidence.histograms["latency"].sum(axis=0)[0]
    assert histogram.sum() == histogram[-1] == 2
    assert evidence.latencies.sum() == 0


def test_where_less_is_better_a_failed_request_has_the_bad_outcome():
    toxic = MetricSpec("toxic", Kind.BINARY, Role.GUARDRAIL, "toxic", False, Margin(0.0), max_observations=9)
    evidence = observed(spec(toxic), status=[500, 200], toxic=[0.0, 0.0])
    assert evidence.binary["toxic"].sum(axis=0)[0].tolist() == [2, 1]


def test_a_mean_is_of_answered_requests_and_says_so():
    evidence = observed(spec(MEAN), status=[200, 200, 500], reward=[1.0, 3.0, 100.0])
    n, mean, m2, _ = evidence.moments["reward"].sum(axis=0)[0]
    assert (n, mean, m2) == (2, 2.0, 2.0)
    assert evidence.excluded[Excluded(Exclusion.FAILED, "reward", "v1")] == 1


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_nan_and_infinite_values_are_kept_out_and_counted(value):
    evidence = observed(spec(UNPAIRED, MEAN), score=[1.0, value], reward=[2.0, value], row=[1, 2])
    assert evidence.binary["accuracy"].sum(axis=0)[0].tolist() == [1, 1]
    assert evidence.moments["reward"].sum(axis=0)[0].tolist() == [1, 2.0, 0.0, 0.0]
    assert excluded(evidence) == {Exclusion.UNUSABLE_VALUE: 2}
    assert any("1 value of accuracy of v1 that cannot be used" in note for note in notes(evidence))


def test_a_missing_label_is_neither_a_wrong_answer_nor_an_unusable_value():
    evidence = observed(spec(UNPAIRED), score=pa.array([1.0, None]), row=[1, 2])
    assert evidence.binary["accuracy"].sum(axis=0)[0].tolist() == [1, 1]
    assert excluded(evidence) == {Exclusion.ABSENT_VALUE: 1}


def test_a_binary_metric_takes_0_and_1_only():
    evidence = observed(spec(UNPAIRED), score=[1.0, 0.5, 2.0], row=[1, 2, 3])
    assert evidence.binary["accuracy"].sum(axis=0)[0].tolist() == [1, 1]
    assert excluded(evidence) == {Exclusion.UNUSABLE_VALUE: 2}


def test_negative_latencies_are_kept_out_of_latency_only():
    evidence = observed(spec(LATENCY, ERRORS), latency=[0.01, -0.01, NAN])
    assert evidence.histograms["latency"].sum() == 1
    assert evidence.binary["errorRate"].sum(axis=0)[0].tolist() == [3, 0]
    assert excluded(evidence) == {Exclusion.UNUSABLE_VALUE: 2}


def test_unknown_arms_and_missing_times_are_kept_out():
    evidence = observed(
        spec(ERRORS),
        arm=["v1", "v3", "", "v1", "v1"],
        time=[START, START, START, NAN, 1.8e12],
        status=[200] * 5,
    )
    assert evidence.requests.sum() == 1
    assert excluded(evidence) == {Exclusion.UNKNOWN_ARM: 2, Exclusion.NO_TIME: 2}


def test_duplicated_observations_count_once():
    evidence = observed(spec(ERRORS), id=["a", "b", "a", "bb", "b"], status=[200, 500, 500, 200, 500])
    assert evidence.binary["errorRate"].sum(axis=0)[0].tolist() == [3, 1]
    assert excluded(evidence) == {Exclusion.DUPLICATE: 2}


def test_duplicates_are_recognised_across_batches():
    builder = EvidenceBuilder(spec(ERRORS))
    table = Load(seconds=2).table()
    builder.add(table)
    builder.add(table)
    assert builder.evidence.requests.sum() == table.num_rows
    assert builder.evidence.excluded[Excluded(Exclusion.DUPLICATE)] == table.num_rows


def test_observations_without_an_id_are_no_duplicates():
    evidence = observed(spec(ERRORS), id=pa.array([None, None, "a"]))
    assert evidence.requests.sum() == 3


def test_a_half_that_comes_twice_counts_once():
    evidence = observed(
        spec(ACCURACY),
        arm=["v1", "v1", "v2", "v2"],
        pair=[5, 5, 5, 5],
        row=[1, 1, 1, 1],
        score=[1.0, 0.0, 1.0, 0.0],
    )
    assert evidence.pair_tables["accuracy"].sum(axis=0)[0].tolist() == [1, 0, 0, 0]
    assert excluded(evidence) == {Exclusion.DUPLICATE_HALF: 2}


def test_a_pair_with_an_unusable_half_is_no_pair():
    evidence = observed(spec(ACCURACY), arm=["v1", "v2"], pair=[5, 5], row=[1, 1], score=[1.0, NAN])
    assert evidence.pair_tables["accuracy"].sum() == 0


def test_halves_without_the_other_are_missing_once_it_is_late():
    evidence = observed(
        spec(ACCURACY),
        arm=["v1", "v2", "v1", "v1"],
        pair=[1, 2, 3, 4],
        time=[START, START, START, START + 15],
        row=[1, 2, 3, 4],
        score=[1.0] * 4,
    )
    assert evidence.missing_halves.tolist() == [[1, 2]]


def test_the_warm_up_is_cut_from_the_metrics_but_not_from_the_split():
    evidence = observed(
        spec(ERRORS, warm_up=2.0), time=[START, START + 1.9, START + 2.0], segment=["s1", "s1", "s1"]
    )
    assert evidence.requests.sum() == evidence.binary["errorRate"][..., 0].sum() == 1
    assert evidence.units["s1"].tolist() == [3, 0]
    assert excluded(evidence) == {Exclusion.WARM_UP: 2}


def test_a_pair_that_began_in_the_warm_up_is_cut():
    columns = {"arm": ["v1", "v2"] * 2, "pair": [1, 1, 2, 2], "row": [1, 1, 2, 2], "score": [1.0] * 4}
    evidence = observed(
        spec(ACCURACY, warm_up=2.0), time=[START, START + 2.1, START + 2.2, START + 2.3], **columns
    )
    assert evidence.pair_tables["accuracy"].sum() == 1
    assert evidence.missing_halves.sum() == 0


def test_the_split_is_counted_in_units_where_they_are_known():
    evidence = observed(
        spec(ERRORS),
        arm=["v1", "v1", "v2", "v1", "v2", "v2"],
        segment=pa.array(["s1", "s1", "s1", "s2", "s2", None]),
        unit=pa.array(["ann", "ann", "bob", "ann", None, "cid"]),
    )
    assert {name: counts.tolist() for name, counts in evidence.units.items()} == {"s1": [1, 1], "s2": [0, 1]}


def test_strata_are_segments_and_time_batches():
    evidence = observed(
        spec(ERRORS, batch_seconds=0.5),
        time=[START, START + 0.4, START + 0.6, START + 500],
        segment=pa.array([None, "s1", None, None]),
    )
    assert set(evidence.strata) == {Stratum(None, 0), Stratum("s1", 0), Stratum(None, 1), Stratum(None, 1000)}


def test_histograms_are_in_the_buckets_of_the_margin():
    evidence = observed(spec(LATENCY), latency=[0.01, 0.02])
    buckets = quantile_buckets(LATENCY)
    assert (
        np.flatnonzero(evidence.histograms["latency"].sum(axis=(0, 1))).tolist()
        == buckets.index([0.01, 0.02]).tolist()
    )
    assert buckets.shift(0.1) > 0


def test_a_metric_without_a_column_has_no_values_and_a_note():
    evidence = observed(spec(MEAN), status=[200, 200])
    assert evidence.moments["reward"].sum() == 0
    assert notes(evidence) == ("2 answers of v1 without a value of reward were left out of it.",)


def test_a_missing_required_column_is_named():
    builder = EvidenceBuilder(spec(ERRORS))
    with pytest.raises(UsageError, match="no column status; they have arm, time, latency"):
        builder.add(pa.table({"arm": ["v1"], "time": [START], "latency": [0.1]}))


def test_a_metric_that_cannot_be_judged_is_refused():
    for metric, message in (
        (dataclasses.replace(ERRORS, max_observations=0), "horizon"),
        (dataclasses.replace(LATENCY, quantile=None), "quantile"),
        (dataclasses.replace(LATENCY, paired=True), "by pair or row"),
        (dataclasses.replace(ERRORS, margin=Margin(-0.1)), "negative"),
    ):
        with pytest.raises(ValueError, match=message):
            EvidenceBuilder(spec(metric))
    with pytest.raises(ValueError, match="no metric"):
        EvidenceBuilder(JudgeSpec("v1", ("v2",), ()))
