"""What a plan says it takes: held against simulated runs, and against textbook sample sizes."""

import dataclasses
import math

import numpy as np
import pytest
from experiments.streams import ACCURACY, ERRORS, LATENCY, spec
from fairtrial.judge.boundaries import boundary_for, planned_grid, required
from fairtrial.judge.evidence import Evidence, Stratum
from fairtrial.judge.geometry import claims_of
from fairtrial.judge.spec import JudgeSpec, Kind, Margin, Method, MetricSpec
from fairtrial.planning.assumed import assumed
from fairtrial.planning.power import ClaimPlan, Supply, plan_claims
from fairtrial.stats.binary import MINIMUM_EVENTS, binary_drift, table_events, table_z
from fairtrial.stats.counts import Counts, count_drift, count_z
from fairtrial.stats.paired import pair_table, pair_z, paired_binary_drift
from fairtrial.stats.strata import TableTerms, standardise, table, table_terms

HALF = Supply(most=12_000, per_second=100.0, share=0.5)
PAIRS = Supply(most=2_000, per_second=90.0, share=1.0)


def plans(metric: MetricSpec, supply: Supply, **changes: object) -> dict[str, ClaimPlan]:
    plan = dataclasses.replace(spec(metric), **changes)
    evidence = assumed(plan, metric).evidence
    assert evidence is not None
    return {each.claim.name: each for each in plan_claims(plan, metric, evidence, supply)}


def simulated_power(plan: JudgeSpec, metric: MetricSpec, rate: float, effect: float, runs: int) -> float:
    """How often "safe" crosses in simulated runs of two proportions, 200 requests an arm and look."""
    looks, per_look = plan.planned_looks, metric.max_observations // plan.planned_looks
    rng = np.random.default_rng(11)
    n = np.full((runs, looks), per_look)
    terms = table_terms(n, rng.binomial(n, rate), n, rng.binomial(n, rate + effect))
    table = standardise(TableTerms(*(np.cumsum(term, axis=-1) for term in terms)))
    claim = claims_of(metric)[1]
    z = -table_z(table, margin=claim.threshold, relative=False)
    enough = table_events(table, margin=claim.threshold, relative=False) >= MINIMUM_EVENTS
    drift = 2.5  # what the boundary is shaped for: of little effect on power
    boundary = boundary_for(plan, claim, drift)
    fractions = [k / looks for k in range(1, looks + 1)]
    critical = np.array([boundary.critical(fractions[: k + 1]) for k in range(looks)])
    return float(np.mean(np.any(enough & (z >= critical), axis=-1)))


@pytest.mark.parametrize("margin", [0.003, 0.004])
def test_the_power_of_a_run_is_what_the_plan_says(margin: float):
    metric = dataclasses.replace(ERRORS, margin=Margin(margin))
    said = plans(metric, HALF)["safe"]
    assert said.effect == 0
    assert said.power == pytest.approx(
        simulated_power(spec(metric), metric, rate=0.01, effect=0.0, runs=4_000), abs=0.02
    )


@pytest.mark.parametrize(("share", "effect"), [(0.5, 0.024), (0.1, 0.034)])
def test_at_an_uneven_split_and_a_large_effect_too(share: float, effect: float):
    """100 requests a look. By the variance at the base rate alone it would be 4 to 8 points more."""
    margin, base, looks = 0.01, 0.1, 200
    metric = dataclasses.replace(
        ERRORS, margin=Margin(margin), design_effect=Margin(effect), max_observations=round(20_000 * share)
    )
    plan = dataclasses.replace(spec(metric), planned_looks=looks)
    evidence = Evidence.empty(plan)
    evidence.strata = (Stratum(None, 0),)
    evidence.binary[metric.name] = np.tile(np.array([1_000_000, 100_000]), (1, 2, 1))
    supply = Supply(metric.max_observations, 100.0, 1 - share)
    said = next(p for p in plan_claims(plan, metric, evidence, supply) if p.claim.against)

    rng = np.random.default_rng(12)
    n1 = rng.binomial(100, share, (4_000, looks))
    n0 = 100 - n1
    terms = table_terms(n0, rng.binomial(n0, base), n1, rng.binomial(n1, base + effect))
    seen = standardise(TableTerms(*(np.cumsum(term, axis=-1) for term in terms)))
    enough = table_events(seen, margin=margin, relative=False) >= MINIMUM_EVENTS
    critical, _ = planned_grid(plan, said.claim, required(plan, plan.alpha))
    crossed = enough & (table_z(seen, margin=margin, relative=False) >= np.array(critical))
    assert said.power == pytest.approx(float(np.mean(np.any(crossed, axis=-1))), abs=0.02)


@pytest.mark.parametrize("relative", [False, True])
def test_expected_evidence_is_that_of_the_expected_table(relative: bool):
    """Of arms that are as large as anybody would want them, with the effect in every stratum."""
    base, effect, margin, share, n = 0.2, 0.1, 0.05, 0.7, 40_000.0
    moved = base * (1 + effect) if relative else base + effect
    n0, n1 = n * share, n * (1 - share)
    observed = table(n0, n0 * base, n1, n1 * moved)
    z = float(table_z(observed, margin=margin, relative=relative))
    drift = binary_drift(base, effect, share, margin=margin, relative=relative)
    assert drift * math.sqrt(n0 * n1 / n) == pytest.approx(z, rel=0.01)
    counted = count_drift(base, effect, share, margin=margin, relative=relative)
    expected = Counts.of(n0, n0 * base, n1, n1 * moved)
    z = float(count_z(expected, margin=margin, relative=relative))
    assert counted * math.sqrt(n0 * n1 / n) == pytest.approx(z, rel=0.01)


def test_an_effect_on_pairs_is_of_those_that_agreed():
    drift = paired_binary_drift(6000, 1000, 1000, 2000, effect=0.1, margin=0.05, relative=False)
    after = pair_table(6000.0, 1000.0, 2000.0, 1000.0)
    assert drift * 100 == pytest.approx(float(pair_z(after, margin=0.05, relative=False)), rel=0.01)
    as_ratio = paired_binary_drift(6000, 1000, 1000, 2000, effect=0.1 / 0.7, margin=0.05, relative=True)
    assert as_ratio * 100 == pytest.approx(float(pair_z(after, margin=0.05, relative=True)), rel=0.01)


def test_a_fixed_horizon_needs_the_textbook_sample():
    """Two proportions around 1%, margin 0.5 pp, 5% and 80%: n = (z + z)^2 2 p (1 - p) / margin^2 an arm."""
    metric = dataclasses.replace(ERRORS, margin=Margin(0.005))
    short = dataclasses.replace(HALF, most=1_000)
    safe = plans(metric, short, method=Method.FIXED_HORIZON)["safe"]
    textbook = (1.6449 + 0.8416) ** 2 * 2 * 0.01 * 0.99 / 0.005**2
    # the likelihood ratio counts the variance at the margin as well, which is 3% more
    assert textbook < safe.needed < 1.04 * textbook
    assert not safe.within_horizon


def test_what_cannot_be_decided_says_what_it_would_take():
    metric = dataclasses.replace(ERRORS, margin=Margin(0.001))
    safe = plans(metric, HALF)["safe"]
    assert not safe.within_horizon
    assert safe.needed is not None
    assert safe.needed > 10 * HALF.most
    assert safe.seconds == safe.needed / HALF.per_second


def test_more_time_does_not_help_where_rows_run_out():
    metric = dataclasses.replace(ACCURACY, design_effect=Margin(0.012))
    supply = dataclasses.replace(PAIRS, bounded_by_rows=True)
    met = plans(metric, supply)["met"]
    assert not met.within_horizon
    assert met.seconds is None


def test_without_a_design_effect_the_plan_tells_what_the_horizon_shows():
    met = plans(ACCURACY, PAIRS)["met"]
    assert not met.designed
    assert met.power == pytest.approx(0.8, abs=0.005)
    assert met.effect > ACCURACY.margin.value


def test_larger_effects_are_decided_sooner():
    curve = plans(ACCURACY, PAIRS)["met"].curve
    means = [point.mean for point in curve]
    assert means == sorted(means, reverse=True)
    assert [p.power for p in curve] == sorted(p.power for p in curve)


def test_latency_waits_for_its_time_batches():
    plan = spec(LATENCY)
    safe = plans(LATENCY, HALF)["safe"]
    assert safe.needed is not None
    assert safe.needed >= math.ceil(30 * plan.batch_seconds * HALF.per_second)


def test_a_mean_without_a_known_spread_has_no_plan():
    reward = dataclasses.replace(ERRORS, name="reward", column="reward", kind=Kind.MEAN, margin=Margin(2.0))
    assert assumed(spec(reward), reward).evidence is None
