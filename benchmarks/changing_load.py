"""Error rates of a verdict on a load whose rate changes: the baseline against itself, with a spike.

    uv run benchmarks/changing_load.py

The requests are those of a schedule: 20 a second, and 400 a second for ten seconds in the middle. In the peak
one request in ten fails, before and after it one in a hundred, and latencies are five times as long and go up
and down together. Judged look by look through `StreamJudge`, as a run would be, on errors and on p90, with no
margin, so that every decision is a false one. Ends with 1 if either is made significantly more often than
stated.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from fairtrial.experiment.reading import parse
from fairtrial.judge.spec import JudgeSpec
from fairtrial.judge.verdict import Decision
from fairtrial.judging import StreamJudge
from fairtrial.planning.claims import claims_of
from fairtrial.planning.sending import arrivals_of
from fairtrial.planning.steps import steps_of
from fairtrial_loadtests.arrivals import Schedule, Send

ALPHA = 0.05
PEAK = (30.0, 40.0)
FILE = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
spec:
  baseline: {name: v1, modelUri: m}
  candidates: [{name: v2, modelUri: m}]
  traffic:
    loadTest:
      maxDuration: 60s
      requests: {data: rows.csv}
      arrivals: {spike: {base: 20/s, peak: 400/s, at: 30s, for: 10s}}
  metrics:
    - METRIC
  analysis: {falsePositiveRate: 5%}
"""
METRICS = {
    "errors": "{name: errorRate, maxRegression: 0}",
    "p90": "{name: latency, quantile: 0.9, maxRegression: 0}",
}


def spec_of(metric: str) -> tuple[JudgeSpec, Schedule]:
    experiment = parse(
        FILE.replace("METRIC", metric).encode(), source="spike", folder=Path(), check_files=False
    )
    return (
        claims_of(experiment, steps_of(experiment), 1000),
        Schedule(arrivals_of(experiment), seed=0, rows=1000, arms=2, share=0.1),
    )


def requests(schedule: Schedule, random: np.random.Generator) -> pa.Table:
    sends = [item for item in schedule.sends() if isinstance(item, Send)]
    time = np.array([send.time for send in sends])
    through_split = np.array([send.arm < 0 for send in sends])
    arm = np.where(through_split, random.integers(0, 2, time.size), [send.arm for send in sends])
    peak = (time >= PEAK[0]) & (time < PEAK[1])
    # Each arm's server has slow moments of its own, a second long, which its requests share.
    slow = np.exp(random.normal(0.0, 0.3, (2, 61)))[arm, time.astype(int)]
    latency = 0.004 * np.where(peak, 5.0, 1.0) * slow * random.lognormal(0.0, 0.5, time.size)
    failed = random.random(time.size) < np.where(peak, 0.1, 0.01)
    return pa.table(
        {
            "arm": np.array(["v1", "v2"])[arm],
            "time": time + 1e9,
            "latency": latency,
            "status": np.where(failed, 500, 200).astype(np.int16),
            "pair": pa.array([None if s.arm < 0 else s.arrival for s in sends], pa.int64()),
            "row": np.array([send.row for send in sends]),
            "segment": pa.array(["step-1" if split else None for split in through_split]),
        }
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=300)
    options = parser.parse_args()
    random = np.random.default_rng(1)
    most = ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / options.runs)
    good = True
    for name, metric in METRICS.items():
        spec, schedule = spec_of(metric)
        made = dict.fromkeys(Decision, 0)
        for _ in range(options.runs):
            judge = StreamJudge(spec)
            for _ in judge.all([requests(schedule, random)]):
                pass
            made[judge.finals[0].decision] += 1
        false = {d: made[d] / options.runs for d in (Decision.PROMOTE, Decision.ROLLBACK)}
        told = ", ".join(f"{decision.value} {rate:.1%}" for decision, rate in false.items())
        print(f"{name}: {told} of {options.runs} runs; stated {ALPHA:.0%}, bar {most:.1%}", flush=True)
        good = good and max(false.values()) <= most
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
