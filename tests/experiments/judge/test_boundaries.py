"""Rates are shared out, and boundaries are shaped by what was planned."""

import dataclasses
import math

import numpy as np
import pyarrow as pa
import pytest
from experiments.streams import ACCURACY, ERRORS, LATENCY, START, chunks, spec
from fairtrial.judge.boundaries import alpha_of, planned_drift
from fairtrial.judge.evidence import Stratum
from fairtrial.judge.geometry import claims_of
from fairtrial.judge.means import Means
from fairtrial.judge.proportions import PairedProportions, Proportions
from fairtrial.judge.quantiles import Quantiles, quantile_buckets
from fairtrial.judge.spec import Kind, Margin
from fairtrial.judging import judge_stream
from fairtrial.stats.mixture import SequentialMixture, required_drift
from fairtrial.stats.paired import paired_binary_score
from fairtrial.stats.quantile import quantile_effect, quantile_interval, quantile_score

STRATA = [Stratum(None, 0)]


def drifts(comparison, information: float, fraction: float) -> tuple[float, float]:
    plan = spec(comparison.metric)
    against, favour = (
        planned_drift(plan, claim, comparison, information, fraction)
        for claim in claims_of(comparison.metric)
    )
    return against, favour


def test_without_a_design_effect_the_drift_is_what_the_power_requires():
    comparison = Proportions(ERRORS, STRATA, np.array([[1000, 10]]), np.array([[1000, 10]]))
    expected = required_drift(0.05, 0.8, 60)
    assert drifts(comparison, 500, 0.1) == (pytest.approx(expected), pytest.approx(expected))


def test_a_design_effect_of_a_rate_gives_the_z_that_it_would_have_at_the_horizon():
    metric = dataclasses.replace(ERRORS, margin=Margin(0.01), design_effect=Margin(0.03))
    comparison = Proportions(metric, STRATA, np.array([[1000, 90]]), np.array([[1000, 110]]))
    # information 500 at a tenth of the horizon: 5,000 at the horizon; the pooled rate is 10%
    sd = math.sqrt(0.1 * 0.9)
    against, favour = drifts(comparison, 500, 0.1)
    assert against == pytest.approx(0.02 / sd * math.sqrt(5000))
    assert favour == pytest.approx(0.01 / sd * math.sqrt(5000))


def test_a_design_effect_on_pairs_uses_the_pairs_that_differ():
    metric = dataclasses.replace(ACCURACY, design_effect=Margin(0.03))
    comparison = PairedProportions(metric, STRATA, np.array([[800, 30, 50, 120]]))
    against, favour = drifts(comparison, 1000, 0.5)
    assert against == pytest.approx(0.03 / math.sqrt(0.08) * math.sqrt(2000))
    assert favour == pytest.approx(0.02 / math.sqrt(0.08) * math.sqrt(2000))


def test_a_design_effect_of_a_mean_uses_the_pooled_variance():
    metric = dataclasses.replace(
        ERRORS, name="reward", column="reward", kind=Kind.MEAN, margin=Margin(0.0), design_effect=Margin(0.5)
    )
    comparison = Means(metric, STRATA, np.array([[100, 5.0, 400.0]]), np.array([[100, 6.0, 400.0]]))
    against, _ = drifts(comparison, 50, 0.5)
    assert against == pytest.approx(0.5 / 2 * math.sqrt(100))


def test_a_design_effect_of_a_quantile_counts_what_would_exceed_the_moved_cut():
    metric = dataclasses.replace(
        LATENCY, column="size", margin=Margin(0.0, True), design_effect=Margin(0.2, True)
    )
    buckets = quantile_buckets(metric)
    rng = np.random.default_rng(0)
    arms = [buckets.counts(rng.lognormal(0, 0.5, 20_000))[None] for _ in range(2)]
    against, _ = drifts(Quantiles(metric, STRATA, *arms), 10_000, 1.0)
    exceeding = 0.5 * math.erfc((1.2816 * 0.5 - math.log(1.2)) / 0.5 / math.sqrt(2))
    assert against == pytest.approx((exceeding - 0.1) / 0.3 * 100, rel=0.05)


def test_a_design_effect_within_the_margin_is_of_no_use_to_the_claim():
    metric = dataclasses.replace(ACCURACY, margin=Margin(0.03), design_effect=Margin(0.02))
    comparison = PairedProportions(metric, STRATA, np.array([[800, 30, 50, 120]]))
    assert drifts(comparison, 1000, 0.5)[1] == pytest.approx(required_drift(0.05, 0.8, 60))


def test_candidates_share_the_rate():
    plan = dataclasses.replace(spec(ACCURACY, ERRORS), candidates=("v2", "v3"))
    against, favour = claims_of(ACCURACY)
    assert alpha_of(plan, against) == pytest.approx(0.05 / 2 / 2)
    assert alpha_of(plan, favour) == pytest.approx(0.05 / 2)


def test_fewer_buckets_give_the_same_figures():
    metric = dataclasses.replace(LATENCY, quantile=0.9)
    buckets = quantile_buckets(metric)
    rng = np.random.default_rng(4)
    arms = [
        np.stack([buckets.counts(rng.lognormal(-5, 0.4, 300) * f) for _ in range(40)]) for f in (1.0, 1.15)
    ]
    for arm in arms:
        arm[:, -1] += 1  # a failure in each batch
    strata = [Stratum(None, i) for i in range(40)]
    ours = Quantiles(metric, strata, *arms)
    options = {"buckets": buckets, "q": 0.9, "relative": True}
    assert ours.inflation is not None
    score = quantile_score(*arms, margin=0.1, greater=True, inflation=ours.inflation, **options)
    assert ours.score(0.1, greater=True).z == pytest.approx(score.z, abs=1e-9)
    effect = quantile_effect(*arms, **options)
    assert ours.effect().effect == pytest.approx(effect.effect, abs=1e-9)
    interval = quantile_interval(*arms, critical=2.0, inflation=ours.inflation, **options)
    assert ours.interval(2.0) == pytest.approx(interval, abs=1e-9)


def test_statistics_and_boundaries_are_those_of_a_count_by_hand():
    looks, pairs = 12, 50
    metric = dataclasses.replace(ACCURACY, margin=Margin(0.0), max_observations=looks * pairs)
    plan = spec(metric, weights={}, max_duration=float(looks), planned_looks=looks)
    rng = np.random.default_rng(3)
    n = 2 * looks * pairs
    right = rng.random(n) < 0.9
    table = pa.table(
        {
            "arm": ["v1", "v2"] * (n // 2),
            "time": START + np.linspace(0, looks, n, endpoint=False),
            "latency": np.full(n, 0.01),
            "status": np.full(n, 200, np.int16),
            "score": right.astype(float),
            "pair": np.repeat(np.arange(n // 2), 2),
            "row": np.repeat(np.arange(n // 2), 2),
        }
    )
    boundary = SequentialMixture(0.05, required_drift(0.05, 0.8, looks), looks)
    judgements = list(judge_stream(plan, chunks(table)))
    assert len(judgements) == looks
    for k, judgement in enumerate(judgements, start=1):
        baseline, candidate = right[: 2 * pairs * k : 2], right[1 : 2 * pairs * k : 2]
        cells = [int((a & b).sum()) for a in (baseline, ~baseline) for b in (candidate, ~candidate)]
        n11, n10, n01, n00 = cells
        score = paired_binary_score(n11, n10, n01, n00, margin=0.0, relative=False, greater=True)
        met = judgement.verdicts[0].metrics[0].claims[1]
        assert met.claim == "met"
        if score is None:
            assert met.statistic is None
            continue
        fractions = judgement.state.claim("v2", "accuracy", "met").fractions
        assert fractions[-1] == pytest.approx(k / looks)
        assert met.statistic == pytest.approx(score.z)
        assert met.boundary == pytest.approx(boundary.critical(fractions))
