"""Synthetic observations: a paired load test with a share of requests through the split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from fairtrial.judge.spec import JudgeSpec, Kind, Margin, MetricSpec, Role

START = 1_795_377_600.0
COLUMNS = ("arm", "time", "latency", "status", "score")

ACCURACY = MetricSpec(
    "accuracy",
    Kind.BINARY,
    Role.OBJECTIVE,
    column="score",
    higher_is_better=True,
    margin=Margin(0.01),
    once_per_row=True,
    paired=True,
    max_observations=2000,
)
LATENCY = MetricSpec(
    "latency",
    Kind.QUANTILE,
    Role.GUARDRAIL,
    column="latency",
    higher_is_better=False,
    margin=Margin(0.1, relative=True),
    quantile=0.9,
    max_observations=12_000,
)
ERRORS = MetricSpec(
    "errorRate",
    Kind.BINARY,
    Role.GUARDRAIL,
    column="error",
    higher_is_better=False,
    margin=Margin(0.005),
    max_observations=12_000,
)


@dataclass(frozen=True)
class Load:
    """What is true of the arms. Index 0 is the baseline, 1 the candidate."""

    rate: float = 100.0  # arrivals a second
    seconds: float = 60.0
    split: float = 0.2  # share of arrivals through the split
    candidate_share: float = 0.5  # of the split
    accuracy: tuple[float, float] = (0.90, 0.97)
    failing: tuple[float, float] = (0.0, 0.0)
    median: tuple[float, float] = (0.01, 0.01)  # latency, seconds
    rows: int = 2000
    seed: int = 1

    def table(self) -> pa.Table:
        """Observations in order of intended time."""
        rng = np.random.default_rng(self.seed)
        arrivals = int(self.rate * self.seconds)
        time = np.sort(rng.uniform(0, self.seconds, arrivals))
        through_split = rng.random(arrivals) < self.split
        pairs, singles = np.flatnonzero(~through_split), np.flatnonzero(through_split)
        arm = np.concatenate(
            [
                np.zeros(pairs.size, int),
                np.ones(pairs.size, int),
                (rng.random(singles.size) < self.candidate_share).astype(int),
            ]
        )
        arrival = np.concatenate([pairs, pairs, singles])
        offset = np.concatenate([rng.uniform(0, 0.02, 2 * pairs.size), np.zeros(singles.size)])
        row = rng.permutation(np.arange(arrivals) % self.rows)[arrival]
        luck = np.random.default_rng(99).random((2, self.rows))
        right = luck[arm, row] < np.array(self.accuracy)[arm]
        failed = rng.random(arm.size) < np.array(self.failing)[arm]
        latency = np.array(self.median)[arm] * rng.lognormal(0, 0.4, arm.size)
        n = arm.size
        is_pair = np.arange(n) < 2 * pairs.size
        columns = {
            "arm": pa.array(np.array(["v1", "v2"])[arm]),
            "time": START + time[arrival] + offset,
            "latency": np.where(failed, latency / 10, latency),
            "status": np.where(failed, 500, 200).astype(np.int16),
            "id": pa.array([f"r{i}" for i in range(n)]),
            "pair": pa.array(arrival, mask=~is_pair),
            "row": row,
            "segment": pa.array(np.where(is_pair, "", "s1"), mask=is_pair),
            "score": pa.array(right.astype(float), mask=failed),
        }
        return pa.table(columns).sort_by("time")


def spec(*metrics: MetricSpec, **changes: object) -> JudgeSpec:
    """A spec for `Load`: one candidate, half-second batches, 60 s."""
    settings: dict[str, object] = {
        "look_interval": 1.0,
        "batch_seconds": 0.5,
        "max_duration": 60.0,
        "planned_looks": 60,
        "weights": {"s1": {"v1": 0.5, "v2": 0.5}},
    } | changes
    return JudgeSpec("v1", ("v2",), metrics or (ACCURACY, LATENCY, ERRORS), **settings)


def chunks(table: pa.Table, size: int = 777) -> Iterator[pa.RecordBatch]:
    """The table in batches of a size that divides nothing."""
    return iter(table.combine_chunks().to_batches(max_chunksize=size))
