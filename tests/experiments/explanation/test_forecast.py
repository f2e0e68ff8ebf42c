"""When a decision is to be expected, said honestly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from experiments.histories import BETTER, SLOWER, run
from fairtrial.explanation.forecast import forecast, needed
from fairtrial.judge.verdict import ClaimName, ClaimResult, Decision, Verdict

DURATION = 120.0


def claim(name: ClaimName, z: float | None, boundary: float = 3.0, information: float = 0.1) -> ClaimResult:
    crossed = z is not None and z >= boundary
    return ClaimResult(name, f"{name} is so", z, boundary, 0.05, information, crossed)


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> Verdict:
    return run(tmp_path_factory.mktemp("run"), BETTER).verdicts[9]


def with_claims(verdict: Verdict, *claims: tuple[ClaimResult, ...]) -> Verdict:
    pairs = zip(verdict.metrics, claims, strict=False)
    metrics = tuple(dataclasses.replace(metric, claims=own) for metric, own in pairs)
    return dataclasses.replace(verdict, metrics=metrics, elapsed=10.0, decision=Decision.CONTINUE)


def test_a_claim_at_half_its_boundary_needs_four_times_the_data() -> None:
    assert needed(claim("safe", 1.5)) == pytest.approx(4)
    assert needed(claim("safe", 3.5)) == 1
    assert needed(claim("safe", -0.1)) == float("inf")
    assert needed(claim("safe", None)) is None


def test_a_promotion_waits_for_the_slowest_of_its_claims(verdict: Verdict) -> None:
    against = claim("harmed", -1.0)
    told = forecast(
        with_claims(verdict, (claim("met", 2.0), against), (claim("safe", 1.5), against)), DURATION
    )
    assert told.seconds == pytest.approx(30)
    assert (told.sentence, told.waits_for) == ("in about 30 s", "p99 latency safe")


def test_a_rollback_comes_with_the_first_of_its_claims(verdict: Verdict) -> None:
    told = forecast(
        with_claims(
            verdict,
            (claim("met", -1.0), claim("worse", 2.9)),
            (claim("safe", -1.0), claim("harmed", 2.0)),
        ),
        DURATION,
    )
    assert (told.sentence, told.waits_for) == ("in about 1 s", "accuracy worse")


def test_what_does_not_fit_the_horizon_is_not_promised(verdict: Verdict) -> None:
    against = claim("harmed", -3.0)
    far = with_claims(verdict, (claim("met", 0.5, information=0.5), against))
    assert forecast(far, DURATION).sentence == "not within the horizon at this rate"
    near = with_claims(verdict, (claim("met", 1.7, information=0.5), against))
    assert forecast(near, DURATION).sentence == "perhaps not within the horizon"
    assert forecast(near, DURATION).seconds is None


def test_a_promotion_is_not_foretold_while_a_claim_has_no_statistic(verdict: Verdict) -> None:
    waiting = with_claims(
        verdict, (claim("met", 2.9), claim("worse", -2.0)), (claim("safe", None), claim("harmed", None))
    )
    assert forecast(waiting, DURATION).sentence == "too early to say"


def test_a_real_shift_is_foretold_within_a_factor_of_three(tmp_path: Path) -> None:
    """At half of the way, over several runs: noise in z does not allow for more."""
    ratios: list[float] = []
    for seed in range(12):
        verdicts = run(tmp_path / str(seed), dataclasses.replace(SLOWER, seed=seed)).verdicts
        half = verdicts[len(verdicts) // 2]
        told = forecast(half, DURATION).seconds
        if told is not None:
            ratios.append((half.elapsed + told) / verdicts[-1].elapsed)
    assert len(ratios) >= 8
    assert all(1 / 3 < ratio < 3 for ratio in ratios)
