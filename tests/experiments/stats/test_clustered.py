"""Proportions of requests randomised by user."""

from __future__ import annotations

import numpy as np
import pytest
from experiments.stats.joint_moments import joint_moments
from fairtrial.stats.binary import binary_interval, binary_score, table_z
from fairtrial.stats.clustered import clustered_events, clustered_interval, clustered_score, clustered_table


def users(rng: np.random.Generator, shape: tuple[int, ...], rate: float, alike: float) -> np.ndarray:
    """[..., 6] moments; `alike` is the parameters' sum of the beta distribution of rates: small is very."""
    requests = 1 + rng.poisson(9, shape)
    events = rng.binomial(requests, rng.beta(alike * rate, alike * (1 - rate), shape))
    return joint_moments(events, requests)


def test_requests_of_different_users_are_nearly_those_of_a_plain_proportion() -> None:
    rng = np.random.default_rng(1)
    arms = [rng.binomial(1, rate, (20, 50)) for rate in (0.1, 0.13)]
    tables = [joint_moments(arm, np.ones_like(arm)) for arm in arms]
    counts = [np.full(20, 50), arms[0].sum(axis=1), np.full(20, 50), arms[1].sum(axis=1)]
    for relative, margin in ((False, 0.01), (True, 0.1)):
        a = clustered_score(*tables, margin=margin, relative=relative, greater=True)
        b = binary_score(*counts, margin=margin, relative=relative, greater=True)
        assert a is not None
        assert b is not None
        assert a.z == pytest.approx(b.z, rel=0.05)
    assert clustered_interval(*tables, relative=False, critical=2.0) == pytest.approx(
        binary_interval(*counts, relative=False, critical=2.0), abs=2e-3
    )


def test_a_request_sent_by_its_user_ten_times_counts_once() -> None:
    rng = np.random.default_rng(2)
    once = [rng.binomial(1, 0.1, (10, 60)) for _ in range(2)]
    single = [joint_moments(arm, np.ones_like(arm)) for arm in once]
    copied = [joint_moments(10 * arm, np.full_like(arm, 10)) for arm in once]
    a, b = (
        clustered_score(*tables, margin=0.02, relative=False, greater=True) for tables in (single, copied)
    )
    assert a is not None
    assert b is not None
    assert b.z == pytest.approx(a.z, rel=0.02)
    assert clustered_events(*copied, margin=0.0, relative=False) == pytest.approx(
        clustered_events(*single, margin=0.0, relative=False), rel=0.03
    )


@pytest.mark.parametrize(("alike", "rate"), [(20.0, 0.1), (3.0, 0.1), (20.0, 0.01)])
def test_rates_of_error_at_an_uneven_split(alike: float, rate: float) -> None:
    """At the claim's margin, 90/10: a plain z claims an improvement up to 10% of the time."""
    rng = np.random.default_rng(3)
    z = np.concatenate(
        [
            table_z(
                clustered_table(
                    users(rng, (500, 20, 90), rate, alike), users(rng, (500, 20, 10), rate, alike)
                ),
                margin=0.0,
                relative=True,
            )
            for _ in range(6)
        ]
    )
    assert (z > 1.645).mean() < 0.065
    assert (z < -1.645).mean() < 0.072


def test_a_candidate_that_fails_whole_users_is_not_held_against_the_baselines_scatter() -> None:
    rng = np.random.default_rng(4)
    scattered, whole = (users(rng, (2000, 20, 30), 0.1, alike) for alike in (300.0, 0.5))
    z = table_z(clustered_table(scattered, whole), margin=0.0, relative=False)
    assert (np.abs(z) > 1.96).mean() < 0.065


def test_no_event_at_all_and_no_traffic() -> None:
    requests = np.full((10, 80), 5)
    quiet = joint_moments(np.zeros((10, 80)), requests)
    safe = clustered_score(quiet, quiet, margin=0.02, relative=False, greater=False)
    assert safe is not None
    assert safe.z > 3
    assert clustered_score(quiet, quiet, margin=0.1, relative=True, greater=False) is None
    assert clustered_interval(quiet, quiet, relative=True, critical=2.0) is None
    nobody = np.zeros((10, 6))
    assert clustered_score(quiet, nobody, margin=0.02, relative=False, greater=True) is None
    assert clustered_interval(quiet, nobody, relative=False, critical=2.0) is None
