"""Which comparison a metric gets, and what those of the further kinds say."""

import dataclasses

import numpy as np
import pytest
from experiments.stats.joint_moments import joint_moments
from fairtrial.judge.compare import compare
from fairtrial.judge.comparison import Comparison
from fairtrial.judge.counts import Counts
from fairtrial.judge.evidence import Evidence, Stratum
from fairtrial.judge.geometry import quantile_buckets
from fairtrial.judge.means import AdjustedMeans, Means, PairedMeans
from fairtrial.judge.proportions import PairedProportions, Proportions
from fairtrial.judge.quantiles import Quantiles
from fairtrial.judge.ratios import ClusteredProportions, Ratios
from fairtrial.judge.spec import Kind, Margin, MetricSpec, Role

BATCHES, REQUESTS = 40, 25
ABSOLUTE = Margin(0.05)


def metric(kind: Kind, **fields) -> MetricSpec:
    return MetricSpec(
        "m", kind, Role.GUARDRAIL, fields.pop("column", "value"), False, fields.pop("margin", ABSOLUTE),
        max_observations=10_000, **fields,
    )  # fmt: skip


BINARY = metric(Kind.BINARY)
SLO = metric(Kind.BINARY, column="latency", slo=0.2)
MEAN = metric(Kind.MEAN)
RATIO = metric(Kind.RATIO, denominator="views")
COUNT = metric(Kind.COUNT)


def evidence(batches: int = BATCHES, **tables) -> Evidence:
    return Evidence(
        arms=("v1", "v2"),
        strata=tuple(Stratum("s", batch) for batch in range(batches)),
        **{table: {"m": values} for table, values in tables.items()},
    )


def values(seed: int, change: float = 0.0, *, batches: int = BATCHES) -> np.ndarray:
    """[batch, arm, request] positive numbers."""
    drawn = np.random.default_rng(seed).exponential(1.0, (batches, 2, REQUESTS))
    return drawn * np.array([1.0, 1 + change])[:, None]


def joint(seed: int = 1, change: float = 0.0, *, covariate: bool = False) -> np.ndarray:
    x = values(seed, change)
    views = 1 + np.random.default_rng(seed + 100).poisson(4, x.shape)
    before = values(seed) + np.random.default_rng(seed + 200).standard_normal(x.shape)
    extra = [before] if covariate else []
    return joint_moments(x * views, views, *extra)


def counts(n: int, rates: tuple[float, float], *, batches: int = BATCHES, clump: int = 1) -> np.ndarray:
    """[batch, arm, 2] observations, and events that come `clump` at a time."""
    rng = np.random.default_rng(7)
    events = clump * rng.poisson(n * np.array(rates) / clump, (batches, 2))
    return np.stack([np.full((batches, 2), n), events], axis=-1)


PAIR_TABLE = np.tile([5, 3, 2, 90], (BATCHES, 1, 1))
JOINT6, JOINT10 = joint(), joint(covariate=True)
VALUE_AND_COVARIATE = joint_moments(values(3), values(4))


@pytest.mark.parametrize(
    ("spec", "tables", "kind"),
    [
        (BINARY, {"binary": counts(100, (0.1, 0.1))}, Proportions),
        (dataclasses.replace(BINARY, paired=True), {"pair_tables": PAIR_TABLE}, PairedProportions),
        (dataclasses.replace(BINARY, by_unit=True), {"joint": JOINT6}, ClusteredProportions),
        (MEAN, {"moments": joint_moments(values(1))}, Means),
        (dataclasses.replace(MEAN, paired=True), {"pair_moments": VALUE_AND_COVARIATE[:, :1]}, PairedMeans),
        (dataclasses.replace(MEAN, by_unit=True), {"joint": JOINT6}, Ratios),
        (dataclasses.replace(MEAN, covariate="before"), {"joint": VALUE_AND_COVARIATE}, AdjustedMeans),
        (dataclasses.replace(MEAN, covariate="b", by_unit=True), {"joint": JOINT10}, AdjustedMeans),
        (RATIO, {"joint": JOINT6}, Ratios),
        (dataclasses.replace(RATIO, by_unit=True), {"joint": JOINT6}, Ratios),
        (dataclasses.replace(RATIO, covariate="before"), {"joint": JOINT10}, AdjustedMeans),
        (COUNT, {"counts": counts(100, (0.1, 0.1))}, Counts),
        (dataclasses.replace(COUNT, by_unit=True), {"counts": counts(100, (0.1, 0.1))}, Counts),
    ],
)
def test_every_kind_has_its_comparison_and_an_answer(spec, tables, kind):
    if kind is ClusteredProportions:
        requests = np.full((BATCHES, 2, REQUESTS), 4)
        tables = {"joint": joint_moments(np.random.default_rng(1).binomial(4, 0.2, requests.shape), requests)}
    comparison = compare(spec, evidence(**tables), "v2")
    assert type(comparison) is kind
    score, effect, interval = (
        comparison.score(0.05, greater=True),
        comparison.effect(),
        comparison.interval(2.0),
    )
    assert score is not None
    assert effect is not None
    assert interval is not None
    assert interval[0] < effect.effect < interval[1]
    opposite = comparison.score(0.05, greater=False)
    assert opposite is not None
    assert opposite.z == -score.z
    assert comparison.effective_size == pytest.approx(comparison.compared / (comparison.inflation or 0))
    assert comparison.signal(0.05, 0.0) > 0
    assert comparison.uncapped_effect() is None


@pytest.mark.parametrize(
    ("spec", "tables"),
    [
        (BINARY, {"binary": np.zeros((0, 2, 2), np.int64)}),
        (SLO, {"binary": np.zeros((0, 2, 2), np.int64)}),
        (dataclasses.replace(SLO, paired=True), {"pair_tables": np.zeros((0, 1, 4), np.int64)}),
        (COUNT, {"counts": np.zeros((0, 2, 2), np.int64)}),
        (RATIO, {"joint": np.zeros((0, 2, 6))}),
        (dataclasses.replace(BINARY, by_unit=True), {"joint": np.zeros((0, 2, 6))}),
        (dataclasses.replace(MEAN, covariate="before"), {"joint": np.zeros((0, 2, 6))}),
        (dataclasses.replace(RATIO, covariate="before"), {"joint": np.zeros((0, 2, 10))}),
    ],
)
def test_no_traffic_is_no_evidence_and_says_what_it_waits_for(spec, tables):
    comparison = compare(spec, evidence(batches=0, **tables), "v2")
    assert comparison.sizes == (0, 0)
    assert comparison.compared == 0
    assert comparison.score(0.05, greater=True) is None
    assert comparison.effect() is None
    assert comparison.interval(2.0) is None
    assert comparison.shortfall()
    assert comparison.signal(0.05, 0.0) == 0.0


@pytest.mark.parametrize(
    "spec", [RATIO, dataclasses.replace(MEAN, by_unit=True), dataclasses.replace(RATIO, covariate="before")]
)
@pytest.mark.parametrize("relative", [False, True])
def test_a_ratio_a_quarter_higher_is_found_by_its_own_size(spec, relative):
    spec = dataclasses.replace(spec, margin=Margin(0.05, relative=relative))
    table = joint(2, 0.25, covariate=spec.covariate is not None)
    comparison = compare(spec, evidence(joint=table), "v2")
    effect, score = comparison.effect(), comparison.score(0.05, greater=True)
    assert effect is not None
    assert score is not None
    assert effect.effect == pytest.approx(0.25, abs=0.12)
    assert effect.baseline == pytest.approx(1.0, abs=0.08)
    assert score.z > 1.645
    assert comparison.sizes == (BATCHES * REQUESTS,) * 2
    expected = comparison.signal(0.05, effect.effect) * np.sqrt(score.information)
    assert expected == pytest.approx(score.z, rel=0.25)


def test_a_latency_waits_for_its_batches_as_a_ratio_and_above_an_slo():
    few = 20
    table = joint_moments(values(5, batches=few), np.ones((few, 2, REQUESTS)))
    for spec, tables in (
        (metric(Kind.RATIO, column="latency", denominator="views"), {"joint": table}),
        (SLO, {"binary": counts(100, (0.1, 0.1), batches=few)}),
        (dataclasses.replace(SLO, paired=True), {"pair_tables": PAIR_TABLE[:few]}),
    ):
        comparison = compare(spec, evidence(batches=few, **tables), "v2")
        assert comparison.score(0.0, greater=True) is None
        assert comparison.effective_size is None
        assert "30 time batches are needed" in comparison.shortfall()
        assert comparison.effect() is not None


def test_users_need_no_batches_for_their_latency():
    """A user is in the batch where it was first seen, and its requests are anywhere."""
    few = 5
    table = joint_moments(values(5, batches=few), np.ones((few, 2, REQUESTS)))
    spec = metric(Kind.MEAN, column="latency", by_unit=True)
    comparison = compare(spec, evidence(batches=few, joint=table), "v2")
    assert comparison.inflation == 1.0
    assert comparison.score(0.0, greater=True) is not None


def test_errors_and_accuracies_are_not_taken_to_be_correlated():
    comparison = compare(BINARY, evidence(batches=3, binary=counts(100, (0.1, 0.1), batches=3)), "v2")
    assert comparison.inflation == 1.0
    assert comparison.effective_size == 300


def autoregressive(rng: np.random.Generator, runs: int, phi: float) -> np.ndarray:
    """[runs, batch, request] latencies whose logarithms are autoregressive, 50 requests a batch."""
    size = 50
    x = rng.standard_normal(runs)
    drawn = np.empty((runs, BATCHES * 2 * size))
    for step in range(drawn.shape[1]):
        x = phi * x + np.sqrt(1 - phi**2) * rng.standard_normal(runs)
        drawn[:, step] = x
    return 0.1 * np.exp(0.54 * drawn).reshape(runs, -1, size)


@pytest.mark.parametrize("paired", [False, True])
def test_an_slo_under_serial_correlation_keeps_its_level(paired: bool):
    """One request in ten is slower than the SLO, phi 0.9: taken for independent, an A/A is called different
    more than half of the time.
    """
    rng = np.random.default_rng(11)
    runs = 1000
    slow0, slow1 = (autoregressive(rng, runs, 0.9) > SLO.slo for _ in range(2))
    spec = dataclasses.replace(SLO, paired=paired)
    naive = dataclasses.replace(spec, column="other", slo=None)
    rejected = {spec: 0, naive: 0}
    for first, second in zip(slow0, slow1, strict=True):
        if paired:
            cells = [(first & second), (first & ~second), (~first & second), (~first & ~second)]
            tables = {"pair_tables": np.stack([cell.sum(axis=1) for cell in cells], axis=-1)[:, None]}
        else:
            x = np.stack([first.sum(axis=1), second.sum(axis=1)], axis=-1)
            tables = {"binary": np.stack([np.full_like(x, first.shape[1]), x], axis=-1)}
        found = evidence(batches=first.shape[0], **tables)
        for each in rejected:
            score = compare(each, found, "v2").score(0.0, greater=True)
            rejected[each] += score is not None and abs(score.z) > 1.96
    assert rejected[naive] / runs > 0.5
    assert rejected[spec] / runs < 0.07


def test_the_interval_of_an_slo_agrees_with_its_score():
    rng = np.random.default_rng(12)
    slow = autoregressive(rng, 2, 0.9) > SLO.slo
    x = slow.sum(axis=2).T
    table = np.stack([np.full_like(x, slow.shape[2]), x], axis=-1)
    comparison = compare(SLO, evidence(batches=x.shape[0], binary=table), "v2")
    assert comparison.inflation is not None
    assert comparison.inflation > 3
    assert comparison.effective_size == pytest.approx(slow[0].size / comparison.inflation)
    low, high = comparison.interval(1.7) or (np.nan, np.nan)
    for margin, z in ((low, 1.7), (high, -1.7)):
        score = comparison.score(margin, greater=True)
        assert score is not None
        assert score.z == pytest.approx(z, abs=1e-4)


def test_clumps_of_events_are_no_more_evidence_than_one_each():
    single, clumped = (
        compare(COUNT, evidence(batches=120, counts=counts(100, (0.2, 0.2), batches=120, clump=clump)), "v2")
        for clump in (1, 10)
    )
    assert single.inflation is not None
    assert clumped.inflation is not None
    assert single.inflation < 1.5
    assert clumped.inflation == pytest.approx(10, rel=0.4)
    assert clumped.effective_size == pytest.approx(120 * 100 / clumped.inflation)


def test_counts_say_what_they_wait_for():
    relative = dataclasses.replace(COUNT, margin=Margin(0.2, relative=True))
    rare = compare(relative, evidence(counts=counts(10, (0.01, 0.01))), "v2")
    assert "10 events must be expected in the smaller arm" in rare.shortfall()
    soon = compare(COUNT, evidence(batches=12, counts=counts(100, (0.5, 0.5), batches=12)), "v2")
    assert "events may come in clumps, so that 30 time batches are needed" in soon.shortfall()


def means_with_a_cap(paired: bool, by_unit: bool, covariate: str | None) -> tuple[Comparison, float]:
    """A comparison of capped values, and the largest value of the candidate's mean before the cap."""
    raw = values(6)
    raw[0, 1, 0] = 1e6
    capped = np.minimum(raw, 5.0)
    spec = metric(Kind.MEAN, cap=5.0, paired=paired, by_unit=by_unit, covariate=covariate)
    ones, before = np.ones_like(raw), values(8)
    both = []
    for each in (capped, raw):
        if paired:
            both.append(joint_moments(each[:, 0], each[:, 1])[:, None])
        else:
            both.append(joint_moments(each, *[ones] * by_unit, *[before] * (covariate is not None)))
    table = "pair_moments" if paired else "joint" if by_unit or covariate else "moments"
    return compare(spec, evidence(**{table: both[0], "uncapped": both[1]}), "v2"), float(raw[:, 1].mean())


@pytest.mark.parametrize(
    ("paired", "by_unit", "covariate"),
    [
        (False, False, None),
        (True, False, None),
        (False, True, None),
        (False, False, "before"),
        (False, True, "before"),
    ],
)
def test_the_uncapped_result_stands_beside_the_capped_one(paired, by_unit, covariate):
    comparison, mean = means_with_a_cap(paired, by_unit, covariate)
    effect, uncapped = comparison.effect(), comparison.uncapped_effect()
    assert effect is not None
    assert uncapped is not None
    assert effect.candidate == pytest.approx(1.0, abs=0.2)
    assert uncapped.candidate == pytest.approx(mean, rel=0.2)
    assert uncapped.baseline < 1.2
    assert uncapped.standard_error > 100 * effect.standard_error


def test_a_quantile_has_an_effective_size_as_well():
    spec = metric(Kind.QUANTILE, column="latency", quantile=0.5, margin=Margin(0.1, relative=True))
    histograms = np.zeros((3, 2, quantile_buckets(spec).count), np.int64)
    histograms[..., 500:600] = 4
    few = compare(spec, evidence(batches=3, histograms=histograms), "v2")
    assert isinstance(few, Quantiles)
    assert few.effective_size is None
    enough = compare(spec, evidence(histograms=np.tile(histograms[:1], (BATCHES, 1, 1))), "v2")
    assert enough.effective_size == BATCHES * 400
