"""Evidence from cumulative histograms."""

import dataclasses

import numpy as np
import pytest
from experiments.streams import ACCURACY, ERRORS, LATENCY, START, spec
from fairtrial.errors import UsageError
from fairtrial.evidence.histogram import HistogramSeries, evidence_of_histograms
from fairtrial.judge.evidence import Stratum, merge
from fairtrial.judge.geometry import quantile_buckets
from fairtrial.judge.notes import notes
from fairtrial.judge.spec import Kind

EDGES = np.array([0.01, 0.02, 0.05, np.inf])
SLOW = dataclasses.replace(LATENCY, name="slow", kind=Kind.BINARY, quantile=None, slo=0.02)
PLAN = spec(ERRORS, LATENCY, SLOW, batch_seconds=15.0)


def scrapes(arm: str, counts, errors=None, **more) -> HistogramSeries:
    counts = np.array(counts, float)
    time = START + 15.0 * np.arange(len(counts))
    errors = np.zeros(len(counts)) if errors is None else np.array(errors, float)
    return HistogramSeries(arm, time, EDGES, counts, errors, **more)


V1 = scrapes("v1", [[5, 5, 5, 5], [15, 25, 30, 31], [25, 45, 55, 57]], [0, 1, 3])


def test_increments_count_and_what_was_before_the_first_scrape_does_not():
    evidence = evidence_of_histograms(PLAN, [V1])
    assert evidence.strata == (Stratum(None, 1), Stratum(None, 2))
    assert evidence.requests.tolist() == [[26, 0], [26, 0]]
    assert evidence.binary["errorRate"][:, 0].tolist() == [[26, 1], [26, 2]]


def test_an_slo_at_an_edge_is_exact():
    evidence = evidence_of_histograms(PLAN, [V1])
    assert evidence.binary["slow"][:, 0].tolist() == [[26, 6], [26, 6]]


def test_an_slo_between_edges_is_refused_with_the_edges():
    with pytest.raises(UsageError, match=r"no edge \(le\) at the SLO of 0.03 s; it has 0.01, 0.02, 0.05"):
        evidence_of_histograms(spec(dataclasses.replace(SLOW, slo=0.03)), [V1])


def test_a_reset_counter_has_what_it_counted_since():
    series = scrapes("v1", [[50, 60, 70, 80], [1, 2, 3, 4], [2, 4, 6, 8]], [9, 1, 2])
    evidence = evidence_of_histograms(PLAN, [series])
    assert evidence.requests[:, 0].tolist() == [4, 4]
    assert evidence.errors[:, 0].tolist() == [1, 1]
    assert any("reset 1 time;" in note for note in notes(evidence))


def test_quantile_buckets_hold_every_request_between_its_edges():
    evidence = evidence_of_histograms(PLAN, [V1])
    buckets, histogram = quantile_buckets(LATENCY), evidence.histograms["latency"].sum(axis=0)[0]
    cumulative = np.cumsum(histogram)
    for edge, count in zip(EDGES[:-1], (20, 40, 50), strict=True):
        at = int(buckets.index([edge])[0])
        assert cumulative[at - 1] <= count <= cumulative[at]
    assert histogram.sum() == 52
    assert histogram[-1] == 2


def test_failures_outside_the_histogram_are_infinitely_slow_and_too_slow():
    series = dataclasses.replace(V1, failed_included=False)
    evidence = evidence_of_histograms(PLAN, [series])
    assert evidence.requests[:, 0].tolist() == [27, 28]
    assert evidence.histograms["latency"][:, 0, -1].tolist() == [2, 3]
    assert evidence.binary["slow"][:, 0].tolist() == [[27, 7], [28, 8]]


def test_the_source_is_said_to_be_weak_also_once_merged():
    first = evidence_of_histograms(PLAN, [V1], origin=START)
    second = evidence_of_histograms(PLAN, [dataclasses.replace(V1, arm="v2")], origin=START)
    both = evidence_of_histograms(PLAN, [V1, dataclasses.replace(V1, arm="v2")], origin=START)
    merged = merge(first, second)
    assert merged.weaknesses == both.weaknesses
    assert notes(merged)[0].startswith("The evidence is from histograms, which is weaker")
    assert "3 edges from 0.01 to 0.05 s" in notes(merged)[0]
    for name, table in both.histograms.items():
        assert np.array_equal(merged.histograms[name], table)


def test_the_split_is_counted_in_requests():
    parts = [scrapes(arm, V1.counts, segment="s1") for arm in ("v1", "v2", "v9")]
    assert evidence_of_histograms(PLAN, parts).units["s1"].tolist() == [52, 52]


def test_what_histograms_cannot_tell_is_refused():
    with pytest.raises(UsageError, match="accuracy cannot be told from histograms"):
        evidence_of_histograms(spec(ACCURACY), [V1])
    with pytest.raises(UsageError, match="needs a counter of failed requests"):
        evidence_of_histograms(spec(ERRORS), [dataclasses.replace(V1, errors=None)])
    other = HistogramSeries("v2", V1.time, np.array([1.0, 2.0, 3.0, np.inf]), V1.counts)
    with pytest.raises(UsageError, match="different edges"):
        evidence_of_histograms(spec(LATENCY), [V1, other])
    with pytest.raises(ValueError, match="increase"):
        HistogramSeries("v1", V1.time, EDGES[::-1], V1.counts)


def test_no_series_is_no_evidence():
    assert evidence_of_histograms(PLAN, []).requests.sum() == 0
    assert evidence_of_histograms(PLAN, [scrapes("v1", [[1, 2, 3, 4]])]).requests.sum() == 0
