"""Calibration: relabelled copies of an A/A run, and the rates they show."""

import dataclasses

import numpy as np
import pytest
from experiments.streams import ACCURACY, ERRORS, LATENCY, Load, chunks, spec
from fairtrial.calibration.relabel import relabelled
from fairtrial.calibration.replays import Rate, at_the_null, calibrate
from fairtrial.evidence.builder import EvidenceBuilder
from fairtrial.judge.evidence import Evidence, until
from fairtrial.judge.spec import JudgeSpec, Margin

SAME = Load(accuracy=(0.9, 0.9), failing=(0.02, 0.02))
PLAN = at_the_null(dataclasses.replace(spec(ACCURACY, ERRORS, LATENCY), look_interval=5.0, planned_looks=12))


def evidence_of(load: Load, plan: JudgeSpec = PLAN) -> Evidence:
    builder = EvidenceBuilder(plan)
    for chunk in chunks(load.table()):
        builder.add(chunk)
    return builder.evidence


def test_exchanging_every_arm_twice_gives_the_evidence_back():
    evidence = evidence_of(SAME)
    everything = np.ones(len(evidence.strata), np.bool_)
    once = relabelled(evidence, everything)
    assert np.array_equal(once.errors[:, 0], evidence.errors[:, 1])
    assert np.array_equal(once.pair_tables["accuracy"][..., 1], evidence.pair_tables["accuracy"][..., 2])
    twice = relabelled(once, everything)
    assert np.array_equal(twice.histograms["latency"], evidence.histograms["latency"])
    assert np.array_equal(twice.pair_tables["accuracy"], evidence.pair_tables["accuracy"])


def test_evidence_until_a_batch_is_that_of_the_batches_before():
    evidence = evidence_of(SAME)
    half = until(evidence, 30)
    assert {stratum.batch for stratum in half.strata} == set(range(30))
    assert half.requests.sum() < evidence.requests.sum()
    assert np.array_equal(until(evidence, 10_000).requests, evidence.requests)


def test_arms_that_are_the_same_cross_as_rarely_as_stated():
    result = calibrate(PLAN, evidence_of(SAME), replays=150, seed=4)
    assert result.kept
    assert result.harm.rate < 0.1
    assert len(result.claims) == 6


def test_a_claim_that_crosses_too_often_is_told():
    assert Rate("x", 30, 200, 0.05, 120).kept is False
    assert Rate("x", 10, 200, 0.05, 120).kept is True
    assert Rate("x", 0, 200, 0.05, 120).interval[0] == 0.0
    # Clopper and Pearson for 10 of 200, as in any table, where the run itself adds no error
    low, high = Rate("x", 10, 200, 0.05, 10**9).interval
    assert (low, high) == (pytest.approx(0.0242, abs=2e-4), pytest.approx(0.0900, abs=2e-4))
    # with few stretches the run itself is the larger part of the doubt
    wider = Rate("x", 500, 10_000, 0.05, 60).interval
    assert wider[0] < 0.03
    assert wider[1] > 0.08


def test_margins_are_taken_away_so_that_equal_arms_lie_on_them():
    assert all(metric.margin.value == 0 for metric in PLAN.metrics)
    assert at_the_null(spec(LATENCY)).metrics[0].margin == Margin(0.0, relative=True)
