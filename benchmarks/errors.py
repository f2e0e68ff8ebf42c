"""Do the verdicts hold? False promotions, false rollbacks and power of every method, simulated.

    python benchmarks/errors.py [--runs 20000] [--only WORD] [--seed 2026]

Each cell simulates whole runs, with a look every 100 requests (or pairs) to 20,000, and counts how often a
claim crosses. With the true effect exactly at the margin that may happen as often as stated (5%); at the
effect that `plan` says is shown with 80% probability it must happen as often, to 2 points. A limit is such
that exact methods all pass with 95% probability: the binomial quantile at 1 - 5% / number of cells. The last
cells compare the mean number of requests with the oracle's, ln(1/alpha)/KL.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass

import numpy as np
from error_cells import ALPHA, POWER, Cell, all_cells
from fairtrial.stats.always_valid import AlwaysValid
from fairtrial.stats.boundary import Boundary
from fairtrial.stats.fixed_horizon import FixedHorizon
from fairtrial.stats.group_sequential import GroupSequential
from fairtrial.stats.mixture import SequentialMixture
from fairtrial.stats.spending import obrien_fleming_spending, pocock_spending
from scipy.special import bdtrik
from simulated import PER_LOOK, Index

GROUP_LOOKS = 5
POWER_WITHIN = 0.02  # of what the plan says


@dataclass(frozen=True)
class Result:
    """What a cell measured, and what it may be at most (level, oracle) or should be (power)."""

    measured: float
    bound: float
    ok: bool


def boundary_of(cell: Cell) -> Boundary:
    match cell.method:
        case "sequential":
            return SequentialMixture(ALPHA, cell.drift, cell.looks)
        case "alwaysValid":
            return AlwaysValid(ALPHA, cell.drift)
        case "obrienFleming":
            return GroupSequential(ALPHA, GROUP_LOOKS, obrien_fleming_spending)
        case "pocock":
            return GroupSequential(ALPHA, GROUP_LOOKS, pocock_spending)
        case _:
            return FixedHorizon(ALPHA)


def looks_of(cell: Cell) -> list[int]:
    """The looks that are made, by number."""
    return [look for look in range(cell.first_look, cell.looks + 1) if look % cell.every == 0]


def criticals(cell: Cell, fractions: list[float]) -> list[float]:
    """Critical z at each look that is made."""
    boundary = boundary_of(cell)
    at = np.array(looks_of(cell)) - 1
    made = [fractions[i] for i in at]
    if isinstance(boundary, FixedHorizon):
        return [*([math.inf] * (len(made) - 1)), boundary.critical([1.0])]
    variances = None if cell.variances is None else cell.variances[at].tolist()
    return [
        boundary.critical(made[: i + 1], variances if variances is None else variances[: i + 1])
        for i in range(len(made))
    ]


def stopping_looks(cell: Cell, runs: int, seed: int) -> Index:
    """[runs] the look at which each run crossed; 0 where it never did."""
    rng = np.random.default_rng(seed)
    fractions = cell.fractions if cell.fractions is not None else np.arange(1, cell.looks + 1) / cell.looks
    critical = criticals(cell, [float(t) for t in fractions])
    sign = 1 if cell.claim.greater else -1
    stops: list[Index] = []
    for start in range(0, runs, cell.chunk):
        size = min(cell.chunk, runs - start)
        trial = cell.draw(rng, size)
        stopped = np.zeros(size, dtype=np.int64)
        live = np.arange(size)
        for look, needed in zip(looks_of(cell), critical, strict=True):
            if math.isinf(needed):
                continue
            crossed = sign * trial.z(look, live) >= needed
            stopped[live[crossed]] = look
            live = live[~crossed]
            if not live.size:
                break
        stops.append(stopped)
    return np.concatenate(stops)


def measure(cell: Cell, runs: int, seed: int, doubt: float) -> Result:
    """Simulate a cell and hold it to its bound, which an exact method misses with probability `doubt`."""
    stops = stopping_looks(cell, runs, seed)
    if cell.wants == "oracle":
        requests = np.where(stops > 0, stops, cell.looks).mean() * PER_LOOK / 2
        ratio = float(requests) / cell.oracle[0]
        return Result(ratio, cell.oracle[1], ratio <= cell.oracle[1])
    rate = float((stops > 0).mean())
    if cell.wants == "level":
        most = math.ceil(float(bdtrik(1 - doubt, runs, ALPHA))) / runs
        return Result(rate, most, rate <= most)
    noise = POWER - math.floor(float(bdtrik(doubt / 2, runs, POWER))) / runs
    off = abs(rate - POWER)
    return Result(rate, POWER, off <= POWER_WITHIN + noise)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--only", default="", help="cells whose name contains this")
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    cells = [cell for cell in all_cells() if options.only in cell.name]
    print(f"{options.runs:,} runs a cell, seed {options.seed}, alpha {ALPHA:.0%}, power {POWER:.0%}")
    print(f"{'cell':<60}{'measured':>10}{'bound':>10}{'':>5}{'seconds':>9}")
    failed = 0
    doubt = 0.05 / len(all_cells())
    for cell in cells:
        start = time.perf_counter()
        result = measure(cell, options.runs, options.seed, doubt)
        failed += not result.ok
        relation = "~" if cell.wants == "power" else "<="
        print(
            f"{cell.name:<60}{result.measured:>10.4f}{relation:>3}{result.bound:>7.4f}"
            f"{'ok' if result.ok else 'FAIL':>6}{time.perf_counter() - start:>8.0f}",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
