"""Whether several processes send the load that one does: the same requests, the same latencies.

    uv run benchmarks/distributed_load.py

One small V2 server is loaded at one rate by one process and by several, in turn. Told are the requests, which
must be the same; how far the sends are behind the schedule; and the Kolmogorov-Smirnov distance between the
latencies of one and of several, beside that between two rounds of the same kind, which is what this machine
does by itself. Ends with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from arrivals import FEATURES, v2_server, verdict
from fairtrial_loadtests.client import LoadProcess
from fairtrial_loadtests.crew import Crew
from fairtrial_loadtests.plan import Arrivals, LoadPlan, Requests, Target
from numpy.typing import NDArray
from pyarrow import parquet
from scipy import stats

_LAGS = ("lagP50", "lagP99")
DISTANCE_BAR = 0.05  # over that between rounds of the same kind


def load(
    url: str, folder: Path, *, rate: float, seconds: float, workers: int
) -> tuple[pa.Table, dict[str, float]]:
    """What a load recorded, and what it says of itself."""
    folder.mkdir()
    rows = np.random.default_rng(0).integers(0, 17, (500, FEATURES))
    data = folder / "rows.parquet"
    parquet.write_table(pa.table({f"p{i}": rows[:, i] for i in range(FEATURES)} | {"y": rows[:, 0]}), data)
    plan = LoadPlan(
        targets=(Target("v1", url, "v1"),),
        split=None,
        arrivals=Arrivals(rate, "poisson", seconds),
        requests=Requests(data, target="y"),
        output=folder / "observations",
        seed=1,
    )
    process = LoadProcess(plan, folder, Crew(workers))
    process.start()
    while process.alive:
        time.sleep(0.1)
    if process.returncode != 0:
        raise SystemExit(process.error)
    told = json.loads((plan.output / "load.json").read_text())
    if told["failures"]:
        raise SystemExit(f"{told['failures']} of {told['requests']} requests failed: no figure can be told.")
    return pa.concat_tables([parquet.ParquetFile(part).read() for part in process.poll()]), told


def distance(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    return float(stats.ks_2samp(ours, theirs).statistic)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    kinds = (1, options.workers)
    latencies: dict[int, list[NDArray[np.float64]]] = {kind: [] for kind in kinds}
    told: dict[int, list[dict[str, float]]] = {kind: [] for kind in kinds}
    requests: set[tuple[str, ...]] = set()
    with v2_server(core=1) as url, tempfile.TemporaryDirectory() as folder:
        for number, kind in itertools.product(range(options.rounds), kinds):
            table, said = load(
                url, Path(folder) / f"{number}-{kind}",
                rate=options.rate, seconds=options.seconds, workers=kind,
            )  # fmt: skip
            latencies[kind].append(table["latency"].to_numpy())
            told[kind].append(said)
            columns = table.select(["id", "row"]).to_pydict().values()
            requests.add(tuple(f"{i}/{row}" for i, row in zip(*columns, strict=True)))
    return report(latencies, told, len(requests), len(next(iter(requests))))


def report(
    latencies: dict[int, list[NDArray[np.float64]]],
    told: dict[int, list[dict[str, float]]],
    sequences: int,
    requests: int,
) -> int:
    one, several = latencies
    for kind, measured in latencies.items():
        p50, p99 = np.percentile(np.concatenate(measured), [50, 99]) * 1000
        lag50, lag99 = (
            statistics.median(each[q] for each in told[kind]) * 1000 for q in ("lagP50", "lagP99")
        )
        cpu = statistics.median(each["cpuSeconds"] / each["requests"] for each in told[kind])
        print(
            f"processes: {kind}; latency p50 {p50:.2f} ms, p99 {p99:.2f} ms; behind the schedule "
            f"p50 {lag50:.2f} ms, p99 {lag99:.2f} ms; {cpu * 1e6:.0f} us of CPU a request"
        )
    by_itself = max(
        (distance(a, b) for kind in latencies for a, b in itertools.combinations(latencies[kind], 2)),
        default=0.0,
    )
    between = distance(np.concatenate(latencies[one]), np.concatenate(latencies[several]))
    good = [
        verdict(f"{requests} requests, of every round: {sequences} sequence", "one", sequences == 1),
        verdict(
            f"KS distance of the latencies: {between:.3f}, between rounds of one kind up to {by_itself:.3f}",
            f"no more than {DISTANCE_BAR} over that",
            between <= by_itself + DISTANCE_BAR,
        ),
    ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
