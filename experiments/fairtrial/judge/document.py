"""`verdict.json`: the public format of a verdict, and back.

Names are in camelCase. A figure that is not finite (the p99 of an arm that mostly fails) is null, since
JSON has no infinity.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from fairtrial.judge.verdict import (
    ArmSummary,
    ClaimName,
    ClaimResult,
    Decision,
    Gate,
    MetricResult,
    SampleRatio,
    Uncapped,
    Verdict,
)

FORMAT = 1
"""Version of the format. A reader may rely on every field that it had; new ones may come."""


def verdict_to_dict(verdict: Verdict, versions: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A verdict as JSON-safe data. versions: of the packages that decided, by name."""
    return {
        "format": FORMAT,
        "verdict": verdict.decision.value,
        "reasons": list(verdict.reasons),
        "baseline": verdict.baseline,
        "candidate": verdict.candidate,
        "selectedFrom": verdict.selected_from,
        "look": verdict.look,
        "elapsed": _finite(verdict.elapsed),
        "arms": [_arm(arm) for arm in verdict.arms],
        "metrics": [_metric(metric) for metric in verdict.metrics],
        "sampleRatio": None if verdict.sample_ratio is None else _ratio(verdict.sample_ratio),
        "gates": [{"name": g.name, "passed": g.passed, "message": g.message} for g in verdict.gates],
        "method": verdict.method,
        "assumptions": list(verdict.assumptions),
        "notes": list(verdict.notes),
        "versions": {"rules": verdict.rules, **(versions or {})},
    }


def verdict_from_dict(raw: Mapping[str, Any]) -> Verdict:
    """The verdict of a document; what was null because it was not finite stays None.

    Raises KeyError, TypeError or ValueError if it is not such a document.
    """
    ratio = raw["sampleRatio"]
    return Verdict(
        decision=Decision(raw["verdict"]),
        reasons=tuple(raw["reasons"]),
        baseline=raw["baseline"],
        candidate=raw["candidate"],
        look=raw["look"],
        elapsed=raw["elapsed"],
        arms=tuple(
            ArmSummary(a["name"], a["requests"], a["errors"], a["latencyP50"], a["latencyP99"])
            for a in raw["arms"]
        ),
        metrics=tuple(_metric_from(metric) for metric in raw["metrics"]),
        sample_ratio=None if ratio is None else _ratio_from(ratio),
        gates=tuple(Gate(g["name"], g["passed"], g["message"]) for g in raw["gates"]),
        method=raw["method"],
        assumptions=tuple(raw["assumptions"]),
        rules=raw["versions"]["rules"],
        notes=tuple(raw["notes"]),
        selected_from=raw.get("selectedFrom", 1),
    )


def leading_claim(claims: Sequence[ClaimResult]) -> ClaimResult | None:
    """Whose statistic is the metric's: the claim against the candidate if it crossed, else that for it."""
    against = next((claim for claim in claims if claim.crossed and claim.claim in ("harmed", "worse")), None)
    return against or next((claim for claim in claims if claim.claim in ("safe", "met")), None)


def _arm(arm: ArmSummary) -> dict[str, Any]:
    return {
        "name": arm.name,
        "requests": arm.requests,
        "errors": arm.errors,
        "latencyP50": _finite(arm.latency_p50),
        "latencyP99": _finite(arm.latency_p99),
    }


def _metric(metric: MetricResult) -> dict[str, Any]:
    leading = leading_claim(metric.claims)
    return {
        "name": metric.name,
        "role": metric.role,
        "kind": metric.kind,
        "quantile": metric.quantile,
        "slo": metric.slo,
        "column": metric.column,
        "unit": metric.unit,
        "higherIsBetter": metric.higher_is_better,
        "method": metric.method,
        "test": metric.test,
        "n": {
            "baseline": metric.n_baseline,
            "candidate": metric.n_candidate,
            "pairs": metric.n_pairs,
            "effective": _finite(metric.effective_size),
        },
        "estimate": {
            "baseline": _finite(metric.baseline),
            "candidate": _finite(metric.candidate),
            "effect": _finite(metric.effect),
            "relative": metric.relative,
            "standardError": _finite(metric.standard_error),
        },
        "uncapped": None if metric.uncapped is None else _uncapped(metric.uncapped),
        "interval": None if metric.interval is None else [_finite(end) for end in metric.interval],
        "level": metric.level,
        "margin": metric.margin,
        "statistic": _finite(leading.statistic) if leading else None,
        "boundary": _finite(leading.boundary) if leading else None,
        "pValue": _finite(leading.p_value) if leading else None,
        "looks": leading.looks if leading else 0,
        "claims": [_claim(claim) for claim in metric.claims],
        "waiting": metric.waiting,
    }


def _uncapped(uncapped: Uncapped) -> dict[str, Any]:
    return {
        "cap": uncapped.cap,
        "baseline": _finite(uncapped.baseline),
        "candidate": _finite(uncapped.candidate),
        "effect": _finite(uncapped.effect),
    }


def _claim(claim: ClaimResult) -> dict[str, Any]:
    return {
        "claim": claim.claim,
        "sentence": claim.sentence,
        "statistic": _finite(claim.statistic),
        "boundary": _finite(claim.boundary),
        "pValue": _finite(claim.p_value),
        "alpha": claim.alpha,
        "information": claim.information,
        "looks": claim.looks,
        "crossed": claim.crossed,
        "crossedAtLook": claim.crossed_at_look,
    }


def _ratio(ratio: SampleRatio) -> dict[str, Any]:
    return {
        "expected": {arm: _finite(share) for arm, share in ratio.expected.items()},
        "observed": dict(ratio.observed),
        "eValue": _finite(ratio.e_value),
        "threshold": _finite(ratio.threshold),
        "mismatch": ratio.mismatch,
        "where": ratio.where,
        "missingHalves": ratio.missing_halves,
        "pValue": _finite(ratio.p_value),
    }


def _metric_from(raw: Mapping[str, Any]) -> MetricResult:
    estimate, n, interval = raw["estimate"], raw["n"], raw["interval"]
    return MetricResult(
        name=raw["name"],
        role=raw["role"],
        kind=raw["kind"],
        method=raw["method"],
        n_baseline=n["baseline"],
        n_candidate=n["candidate"],
        n_pairs=n["pairs"],
        baseline=estimate["baseline"],
        candidate=estimate["candidate"],
        effect=estimate["effect"],
        interval=None if interval is None else _open_interval(interval),
        level=raw["level"],
        relative=estimate["relative"],
        margin=raw["margin"],
        higher_is_better=raw["higherIsBetter"],
        claims=tuple(_claim_from(claim) for claim in raw["claims"]),
        waiting=raw["waiting"],
        quantile=raw["quantile"],
        column=raw.get("column", ""),
        slo=raw.get("slo"),
        unit=raw.get("unit", "request"),
        test=raw.get("test"),
        effective_size=n.get("effective"),
        uncapped=_uncapped_from(raw["uncapped"]) if raw.get("uncapped") else None,
        standard_error=estimate.get("standardError"),
    )


def _uncapped_from(raw: Mapping[str, Any]) -> Uncapped:
    figures = (raw[name] for name in ("cap", "baseline", "candidate", "effect"))
    return Uncapped(*(math.nan if figure is None else figure for figure in figures))


def _claim_from(raw: Mapping[str, Any]) -> ClaimResult:
    return ClaimResult(
        claim=cast("ClaimName", raw["claim"]),
        sentence=raw["sentence"],
        statistic=raw["statistic"],
        boundary=raw["boundary"],
        alpha=raw["alpha"],
        information=raw["information"],
        crossed=raw["crossed"],
        crossed_at_look=raw["crossedAtLook"],
        p_value=raw["pValue"],
        looks=raw["looks"],
    )


def _ratio_from(raw: Mapping[str, Any]) -> SampleRatio:
    return SampleRatio(
        expected=dict(raw["expected"]),
        observed=dict(raw["observed"]),
        e_value=math.inf if raw["eValue"] is None else raw["eValue"],
        threshold=raw["threshold"],
        mismatch=raw["mismatch"],
        where=raw["where"],
        missing_halves=raw["missingHalves"],
        p_value=raw.get("pValue"),
    )


def _open_interval(ends: Sequence[float | None]) -> tuple[float, float]:
    """An end that is null is open."""
    low, high = ends
    return (-math.inf if low is None else low, math.inf if high is None else high)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
