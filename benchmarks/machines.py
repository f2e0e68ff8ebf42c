"""How often the gate of a stored baseline is wrong about the machine: `uv run python benchmarks/machines.py`.

Timings of the reference are simulated: 240 of each run, a log-normal autoregression with a stall at times.
Each row is one true ratio of speeds, now over then, judged once at the end of the run.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from fairtrial.judge.evidence import Evidence
from fairtrial.judge.machine import MARGIN, machine_gate
from fairtrial.judge.spec import JudgeSpec, Kind, Margin, MetricSpec, Role, StoredBaseline

_RUNS, _TIMINGS = 4000, 240
_NOISE, _ALIKE, _STALLS = 0.03, 0.7, 0.02
_LATENCY = MetricSpec(
    "latency",
    Kind.QUANTILE,
    Role.GUARDRAIL,
    "latency",
    higher_is_better=False,
    margin=Margin(0.1, relative=True),
    quantile=0.9,
    max_observations=1000,
)


def timings(rng: np.random.Generator, speed: float) -> npt.NDArray[np.float64]:
    """[runs, timings] seconds."""
    shocks = rng.normal(0, _NOISE * math.sqrt(1 - _ALIKE**2), (_RUNS, _TIMINGS))
    log = np.zeros((_RUNS, _TIMINGS))
    log[:, 0] = rng.normal(0, _NOISE, _RUNS)
    for i in range(1, _TIMINGS):
        log[:, i] = _ALIKE * log[:, i - 1] + shocks[:, i]
    stalled = np.where(rng.random(log.shape) < _STALLS, 5.0, 1.0)
    return 0.001 * speed * stalled * np.exp(log)


def passes(then: npt.NDArray[np.float64], now: npt.NDArray[np.float64]) -> bool:
    spec = JudgeSpec("v1", ("v2",), (_LATENCY,), stored=StoredBaseline("then", tuple(then.tolist())))
    gate = machine_gate(spec, replace(Evidence.empty(spec), reference=tuple(now.tolist())))
    assert gate is not None
    return gate.passed


def main() -> None:
    print(f"{_RUNS:,} runs each; the margin is {MARGIN:.0%}")
    for speed in (1.0, 1.01, 1.02, 1.03, 1 + MARGIN, 1.06, 1.1, 2.0):
        rng = np.random.default_rng(8)
        share = np.mean([passes(*pair) for pair in zip(timings(rng, 1.0), timings(rng, speed), strict=True)])
        print(f"{speed:5.2f} times as slow: compared in {share:7.2%} of the runs")


if __name__ == "__main__":
    main()
