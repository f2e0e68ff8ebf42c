"""What a plan says it takes: held against simulated runs, and against textbook sample sizes."""

import dataclasses
import math

import numpy as np
import pytest
from experiments.streams import ACCURACY, ERRORS, LATENCY, spec
from fairtrial.judge.boundaries import boundary_for
from fairtrial.judge.geometry import claims_of
from fairtrial.judge.spec import JudgeSpec, Kind, Margin, Method, MetricSpec
from fairtrial.planning.assumed import assumed
from fairtrial.planning.power import ClaimPlan, Supply, plan_claims
from fairtrial.stats.binary import MINIMUM_EVENTS, table_events, table_z
from fairtrial.stats.strata import TableTerms, standardise, table_terms

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


def test_a_fixed_horizon_needs_the_textbook_sample():
    """Two proportions around 1%, margin 0.5 pp, 5% and 80%: n = (z + z)^2 2 p (1 - p) / margin^2 an arm."""
    metric = dataclasses.replace(ERRORS, margin=Margin(0.005))
    short = dataclasses.replace(HALF, most=1_000)
    safe = plans(metric, short, method=Method.FIXED_HORIZON)["safe"]
    textbook = (1.6449 + 0.8416) ** 2 * 2 * 0.01 * 0.99 / 0.005**2
    assert safe.needed == pytest.approx(textbook, rel=0.02)
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
