"""Verdicts that say no more than a test needs."""

from __future__ import annotations

from dataclasses import replace

from fairtrial.judge.verdict import ArmSummary, Decision, MetricResult, Verdict


def a_verdict(elapsed: float, requests: int, **changes: object) -> Verdict:
    """On v2 against v1, going on, each with this many requests."""
    verdict = Verdict(
        decision=Decision.CONTINUE,
        reasons=(),
        baseline="v1",
        candidate="v2",
        look=int(elapsed),
        elapsed=elapsed,
        arms=(ArmSummary("v1", requests, 0, None, None), ArmSummary("v2", requests, 0, None, None)),
        metrics=(),
        sample_ratio=None,
        gates=(),
        method="sequential",
        assumptions=(),
        rules="1",
    )
    return replace(verdict, **changes)


def a_metric(name: str, **changes: object) -> MetricResult:
    """An objective, of which nothing is known yet."""
    metric = MetricResult(
        name=name,
        role="objective",
        kind="binary",
        method="sequential",
        n_baseline=0,
        n_candidate=0,
        n_pairs=None,
        baseline=None,
        candidate=None,
        effect=None,
        interval=None,
        level=0.9,
        relative=False,
        margin=0.0,
        higher_is_better=True,
        claims=(),
    )
    return replace(metric, **changes)
