"""How often the gate of a stored baseline is wrong about the machine: `uv run python benchmarks/machines.py`.

Timings of the reference are simulated: 240 of each run, a log-normal autoregression with a stall at times.
Each row is one true ratio of speeds, now over then. The gate is asked at every look, as a run asks it: every
second of two minutes, with two timings more each time. A claim may cross at any of them.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from fairtrial.judge.evidence import Evidence
from fairtrial.judge.machine import MARGIN, machine_gate
from fairtrial.judge.spec import JudgeSpec, Kind, Margin, MetricSpec, Role, StoredBaseline

_RUNS, _TIMINGS, _A_LOOK = 500, 240, 2
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


def opens(then: npt.NDArray[np.float64], now: npt.NDArray[np.float64]) -> tuple[bool, bool]:
    """Whether the gate is open at any look, and at the last."""
    spec = JudgeSpec("v1", ("v2",), (_LATENCY,), stored=StoredBaseline("then", tuple(then.tolist())))
    known = tuple(now.tolist())
    looks = range(_A_LOOK, len(known) + 1, _A_LOOK)
    return any(_is_open(spec, known[:n]) for n in looks), _is_open(spec, known)


def _is_open(spec: JudgeSpec, known: tuple[float, ...]) -> bool:
    gate = machine_gate(spec, replace(Evidence.empty(spec), reference=known))
    assert gate is not None
    return gate.passed


def main() -> None:
    print(f"{_RUNS:,} runs each; the margin is {MARGIN:.0%}")
    for speed in (1.0, 1.01, 1.02, 1.03, 1 + MARGIN, 1.06, 1.1, 2.0):
        rng = np.random.default_rng(8)
        pairs = zip(timings(rng, 1.0), timings(rng, speed), strict=True)
        ever, at_end = np.mean([opens(*pair) for pair in pairs], axis=0)
        print(
            f"{speed:5.2f} times as slow: compared at some look in {ever:7.2%}, at the last in {at_end:7.2%}"
        )


if __name__ == "__main__":
    main()
