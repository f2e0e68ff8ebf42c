"""What a look costs: one call of the judge on evidence that is ready.

    uv run benchmarks/look.py

A run of two minutes is simulated: 100 arrivals a second, 240 time batches in two segments, judged by accuracy
(paired, each row once), p99 latency and error rate, at each of 120 looks. Beside it stands what anybody
would compute at a look with the usual libraries: a two-proportion test and a quantile of each arm. The bar
is 5 ms on a machine that sums a million numbers in 7 ms in plain Python, and is held as that ratio, because a
look is some 3,000 small calls that the interpreter's speed decides. Ends with 1 if the bar is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import timeit

import numpy as np
from fairtrial.evidence.builder import EvidenceBuilder
from fairtrial.judge.evidence import Evidence, until
from fairtrial.judge.pipeline import judge
from fairtrial.judge.spec import JudgeSpec, Kind, Margin, MetricSpec, Role
from fairtrial.judge.state import State
from pyarrow import RecordBatch, array, record_batch
from statsmodels.stats.proportion import proportions_ztest

BAR = 5.0 / 7.0  # of the time that `sum(range(10**6))` takes
SECONDS, RATE, BATCH = 120, 100, 0.5
START = 1_795_377_600.0


def plan() -> JudgeSpec:
    most = SECONDS * RATE
    return JudgeSpec(
        "v1",
        ("v2",),
        (
            MetricSpec(
                "accuracy",
                Kind.BINARY,
                Role.OBJECTIVE,
                "score",
                True,
                Margin(0.01),
                once_per_row=True,
                paired=True,
                max_observations=most,
            ),
            MetricSpec(
                "latency",
                Kind.QUANTILE,
                Role.GUARDRAIL,
                "latency",
                False,
                Margin(0.1, relative=True),
                quantile=0.99,
                max_observations=most,
            ),
            MetricSpec(
                "errorRate", Kind.BINARY, Role.GUARDRAIL, "error", False, Margin(0.005), max_observations=most
            ),
        ),
        planned_looks=SECONDS,
        batch_seconds=BATCH,
        max_duration=float(SECONDS),
        weights={"s1": {"v1": 0.5, "v2": 0.5}},
    )


def observations() -> RecordBatch:
    """The same model twice, so that no look is the last; a tenth of the arrivals through the split."""
    rng = np.random.default_rng(1)
    arrivals = SECONDS * RATE
    time = np.sort(rng.uniform(0, SECONDS, arrivals))
    pair = np.flatnonzero(rng.random(arrivals) < 0.9)
    single = np.setdiff1d(np.arange(arrivals), pair)
    arrival = np.concatenate([pair, pair, single])
    arm = np.concatenate([np.zeros(pair.size), np.ones(pair.size), rng.random(single.size) < 0.5]).astype(int)
    order = np.argsort(time[arrival], kind="stable")
    arrival, arm, paired = arrival[order], arm[order], (np.arange(arrival.size) < 2 * pair.size)[order]
    failed = rng.random(arm.size) < 0.01
    return record_batch(
        {
            "arm": array(np.array(["v1", "v2"])[arm]),
            "time": START + time[arrival],
            "latency": rng.lognormal(-4, 0.5, arm.size),
            "status": np.where(failed, 500, 200).astype(np.int16),
            "pair": array(arrival, mask=~paired),
            "row": arrival,
            "segment": array(np.where(paired, "", "s1"), mask=paired),
            "score": array((rng.random(arm.size) < 0.9).astype(float), mask=failed),
        }
    )


def peer(evidence: Evidence) -> None:
    """A test of two error rates, and a quantile of each arm from its cumulated histogram."""
    proportions_ztest(evidence.errors.sum(axis=0), evidence.requests.sum(axis=0))
    for histogram in evidence.latencies:
        np.searchsorted(np.cumsum(histogram), 0.99 * histogram.sum())


def interpreter() -> float:
    """Milliseconds in which this machine sums a million numbers in plain Python."""
    return min(timeit.repeat(lambda: sum(range(10**6)), number=1, repeat=3)) * 1e3


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    spec = plan()
    builder = EvidenceBuilder(spec)
    builder.add(observations())
    seen = [until(builder.evidence, round(look / BATCH)) for look in range(1, SECONDS + 1)]
    times: list[float] = []
    usual: list[float] = []
    machine: list[float] = []
    state = State()
    for evidence in seen:
        begun = time.perf_counter()
        state, verdicts = judge(spec, state, evidence)
        judged = time.perf_counter()
        peer(evidence)
        usual.append(1e3 * (time.perf_counter() - judged))
        times.append(1e3 * (judged - begun))
        if len(times) % 20 == 0:
            machine.append(interpreter())
        if not verdicts:
            break
    calibrating = max(range(len(times)), key=times.__getitem__)
    rest = [t for i, t in enumerate(times) if i != calibrating]
    middle, last = (statistics.median(part) for part in (rest[50:70], rest[-10:]))
    print(f"looks: {len(times)}, strata at the last: {len(seen[len(times) - 1].strata)}")
    print(f"the slowest look, {calibrating + 1}, which calibrates boundaries: {times[calibrating]:.1f} ms")
    print(f"median: {statistics.median(rest):.2f} ms; in the middle {middle:.2f}, at the end {last:.2f} ms")
    print(f"slowest but one: {max(rest):.2f} ms")
    print(
        f"a two-proportion test and two quantiles by the usual libraries: {statistics.median(usual):.2f} ms"
    )
    unit = statistics.median(machine)
    ratio = max(middle, last) / unit
    good = ratio <= BAR
    print(f"sum(range(10**6)) takes {unit:.1f} ms here; a look takes {ratio:.2f} of that")
    print(f"bar {BAR:.2f} in the middle and at the end: {'met' if good else 'MISSED'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
