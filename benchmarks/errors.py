"""Do the verdicts hold? False promotions, false rollbacks and power of the default boundary, simulated.

    python benchmarks/errors.py [--runs 10000] [--only WORD] [--seed 2026]

Each cell simulates whole runs, with a look every 100 requests (or pairs) to 20,000, and counts how often a
claim crosses. With the true effect exactly at the margin that may happen as often as stated (5%) plus two
standard errors; at the design effect it must happen as often as the stated power (80%) less two standard
errors. The last cells compare the mean number of requests with the oracle's, ln(1/alpha)/KL.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from fairtrial.stats.binary import MINIMUM_EVENTS
from fairtrial.stats.mixture import SequentialMixture, required_drift
from fairtrial.stats.paired import MINIMUM_DISCORDANT
from scipy.special import ndtri, rel_entr
from simulated import (
    LOOKS,
    PER_LOOK,
    Claim,
    Floats,
    Index,
    LogNormal,
    Trial,
    TwoMeans,
    TwoQuantiles,
    paired_proportions,
    two_proportions,
)

ALPHA, POWER = 0.05, 0.8
BATCHES_FIRST = 30  # looks before latency is judged: batches for the serial correlation
PLANNED = required_drift(ALPHA, POWER, LOOKS)


@dataclass(frozen=True)
class Cell:
    """One line of the table."""

    name: str
    draw: Callable[[np.random.Generator, int], Trial]
    claim: Claim
    wants: str = "level"  # or "power", or "oracle"
    first_look: int = 1
    looks: int = LOOKS
    drift: float = PLANNED
    fractions: Floats | None = None  # [looks] information, where it does not grow evenly
    variances: Floats | None = None  # [looks] of the statistic's numerator, likewise
    oracle: tuple[float, float] = (0.0, 0.0)  # observations an arm, and the largest acceptable ratio to it
    chunk: int = 1000


# --- the cells ------------------------------------------------------------------------------------------

HARMED = Claim(0.01, relative=False, greater=True)  # error rate: more than 1 pp worse
MET = Claim(-0.01, relative=False, greater=False)  # error rate: more than 1 pp better
SLOWER = Claim(0.1, relative=True, greater=True)  # latency: more than 10% worse
FASTER = Claim(-0.1, relative=True, greater=False)  # latency: more than 10% better
LATER = Claim(0.02, relative=False, greater=True)  # latency: more than 20 ms worse
LATENCY = LogNormal(math.log(0.06), 0.5)


def constant(value: float, looks: int = LOOKS) -> Floats:
    return np.full(looks, value)


def design_rate(base: float, share: float, margin: float) -> float:
    """The candidate's rate whose drift at the horizon, beyond the margin, is the required one."""
    requests = LOOKS * PER_LOOK
    rate = base + margin
    for _ in range(50):
        variance = base * (1 - base) / (requests * (1 - share)) + rate * (1 - rate) / (requests * share)
        rate = base + margin + math.copysign(PLANNED * math.sqrt(variance), margin)
    return rate


def binary_cells() -> Iterator[Cell]:
    base = 0.1
    for label, share in (("50/50", 0.5), ("90/10", 0.1)):
        first = math.ceil(MINIMUM_EVENTS / (PER_LOOK * share * base))
        for name, claim, rate, wants in (
            ("at minEffect", MET, base - 0.01, "level"),
            ("at the margin", HARMED, base + 0.01, "level"),
            ("at designEffect", HARMED, design_rate(base, share, 0.01), "power"),
        ):
            yield Cell(
                f"binary {label}, {name}",
                lambda rng, runs, share=share, rate=rate, claim=claim: two_proportions(
                    rng, runs, (constant(base), constant(rate)), constant(share), claim
                ),
                claim,
                wants,
                first_look=first,
            )


def paired_cells() -> Iterator[Cell]:
    for name, claim, (worse, better), wants in (
        ("at minEffect", MET, (0.035, 0.025), "level"),
        ("at the margin", HARMED, (0.025, 0.035), "level"),
        (
            "at designEffect",
            HARMED,
            (0.025, 0.035 + PLANNED * math.sqrt(0.065 / (LOOKS * PER_LOOK))),
            "power",
        ),
    ):
        probabilities = (0.075, worse, better, 0.925 - worse - better)
        yield Cell(
            f"paired binary, {name}",
            lambda rng, runs, probabilities=probabilities, claim=claim: paired_proportions(
                rng, runs, probabilities, claim
            ),
            claim,
            wants,
            first_look=math.ceil(MINIMUM_DISCORDANT / (PER_LOOK * (worse + better))),
        )


#: What the measured variance costs when requests are independent: `batch_inflation` is at least 1, hence more
#: on average, and so is the quantile's `shape_factor`.
MEAN_ALLOWANCE, QUANTILE_ALLOWANCE = 1.06, 1.12


def mean_cells() -> Iterator[Cell]:
    variation = math.sqrt(math.expm1(LATENCY.spread**2))
    for label, share in (("50/50", 0.5), ("90/10", 0.1)):
        arm = LOOKS * PER_LOOK
        error = variation * math.sqrt(1 / (arm * share) + 1 / (arm * (1 - share)))
        # the margin's ratio plus the drift's worth of the standard error of a contrast at about that ratio
        design = 1.1 * (1 + PLANNED * error * math.sqrt(MEAN_ALLOWANCE) * 1.04)
        for name, claim, factor, wants in (
            ("at minEffect", FASTER, 0.9, "level"),
            ("at the margin", SLOWER, 1.1, "level"),
            ("at designEffect", SLOWER, design, "power"),
        ):
            arms = (LATENCY, LATENCY.times(factor))
            yield Cell(
                f"mean latency {label}, {name}",
                lambda rng, runs, arms=arms, share=share, claim=claim: TwoMeans.draw(
                    rng, runs, arms, share, claim
                ),
                claim,
                wants,
                first_look=BATCHES_FIRST,
                chunk=200,
            )


def quantile_cells() -> Iterator[Cell]:
    q = 0.99
    base = LATENCY.quantile(q)
    density = math.exp(-0.5 * float(ndtri(q)) ** 2) / math.sqrt(2 * math.pi) / LATENCY.spread

    def heavier(spread: float, target: float) -> LogNormal:
        return LogNormal(math.log(target) - spread * float(ndtri(q)), spread)

    def design(share: float) -> float:
        error = math.sqrt(q * (1 - q) / (LOOKS * PER_LOOK) * (1 / share + 1 / (1 - share))) / density
        return math.exp(PLANNED * error * math.sqrt(QUANTILE_ALLOWANCE))

    for name, share, claim, candidate, wants in (
        ("50/50, at minEffect", 0.5, FASTER, LATENCY.times(0.9), "level"),
        ("50/50, at the margin", 0.5, SLOWER, LATENCY.times(1.1), "level"),
        ("50/50, at designEffect", 0.5, SLOWER, LATENCY.times(1.1 * design(0.5)), "power"),
        ("90/10, at minEffect", 0.1, FASTER, LATENCY.times(0.9), "level"),
        ("90/10, at the margin", 0.1, SLOWER, LATENCY.times(1.1), "level"),
        ("50/50, heavier tail, at minEffect", 0.5, FASTER, heavier(0.8, 0.9 * base), "level"),
        ("50/50, heavier tail, at the margin", 0.5, SLOWER, heavier(0.8, 1.1 * base), "level"),
        ("50/50, 20 ms, at the margin", 0.5, LATER, LATENCY.times(1 + 0.02 / base), "level"),
    ):
        arms = (LATENCY, candidate)
        yield Cell(
            f"p99 latency {name}",
            lambda rng, runs, arms=arms, share=share, claim=claim: TwoQuantiles.draw(
                rng, runs, arms, share, q, claim
            ),
            claim,
            wants,
            first_look=max(BATCHES_FIRST, math.ceil(MINIMUM_EVENTS / (1 - q) / (PER_LOOK * share))),
            chunk=200,
        )


def drifting_cells() -> Iterator[Cell]:
    """An A/A whose weights go from 10 to 50% halfway, while the error rate drifts from 5 to 10%."""
    share = np.where(np.arange(LOOKS) < LOOKS // 2, 0.1, 0.5)
    rate = np.linspace(0.05, 0.1, LOOKS)
    information = np.cumsum(share * (1 - share))
    for name, greater in (("harmed", True), ("better", False)):
        claim = Claim(0.0, relative=False, greater=greater)
        yield Cell(
            f"drifting weights and rates, A/A {name}",
            lambda rng, runs, claim=claim: two_proportions(rng, runs, (rate, rate), share, claim),
            claim,
            fractions=information / information[-1],
            variances=np.cumsum(share * (1 - share) * rate * (1 - rate)),
            first_look=math.ceil(MINIMUM_EVENTS / (PER_LOOK * 0.1 * 0.05)),
        )


def oracle_cells() -> Iterator[Cell]:
    """Base error 10%, 20,000 requests an arm, planned for 12%; how many requests does a decision take?"""
    looks, base, planned = 400, 0.1, 0.12
    pooled = (base + planned) / 2
    drift = (planned - base) / math.sqrt(2 * pooled * (1 - pooled) / (looks * PER_LOOK / 2))
    claim = Claim(0.0, relative=False, greater=True)
    for rate, limit in ((0.12, 1.15), (0.15, 1.4)):
        middle = (base + rate) / 2
        information = sum(
            float(rel_entr(p, middle) + rel_entr(1 - p, 1 - middle)) for p in (base, rate)
        )  # of one request an arm, against the nearest pair of equal rates
        yield Cell(
            f"requests an arm, 10% against {rate:.0%}",
            lambda rng, runs, rate=rate: two_proportions(
                rng, runs, (constant(base, looks), constant(rate, looks)), constant(0.5, looks), claim
            ),
            claim,
            "oracle",
            first_look=math.ceil(MINIMUM_EVENTS / (PER_LOOK * 0.5 * base)),
            looks=looks,
            drift=drift,
            oracle=(math.log(1 / ALPHA) / information, limit),
            chunk=500,
        )


def all_cells() -> list[Cell]:
    families = (binary_cells, paired_cells, mean_cells, quantile_cells, drifting_cells, oracle_cells)
    return [cell for family in families for cell in family()]


# --- measuring ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What a cell measured, and what it may be at most (level, oracle) or at least (power)."""

    measured: float
    bound: float
    ok: bool


def stopping_looks(cell: Cell, runs: int, seed: int) -> Index:
    """[runs] the look at which each run crossed; 0 where it never did."""
    rng = np.random.default_rng(seed)
    fractions = cell.fractions if cell.fractions is not None else np.arange(1, cell.looks + 1) / cell.looks
    boundary = SequentialMixture(ALPHA, cell.drift, cell.looks)
    made = [float(t) for t in fractions[cell.first_look - 1 :]]
    variances = None if cell.variances is None else cell.variances[cell.first_look - 1 :].tolist()
    critical = [
        boundary.critical(made[: i + 1], variances if variances is None else variances[: i + 1])
        for i in range(len(made))
    ]
    sign = 1 if cell.claim.greater else -1
    stops: list[Index] = []
    for start in range(0, runs, cell.chunk):
        size = min(cell.chunk, runs - start)
        trial = cell.draw(rng, size)
        stopped = np.zeros(size, dtype=np.int64)
        live = np.arange(size)
        for look, needed in enumerate(critical, start=cell.first_look):
            crossed = sign * trial.z(look, live) >= needed
            stopped[live[crossed]] = look
            live = live[~crossed]
            if not live.size:
                break
        stops.append(stopped)
    return np.concatenate(stops)


def measure(cell: Cell, runs: int, seed: int) -> Result:
    """Simulate a cell and hold it to its bound."""
    stops = stopping_looks(cell, runs, seed)
    if cell.wants == "oracle":
        requests = np.where(stops > 0, stops, cell.looks).mean() * PER_LOOK / 2
        ratio = float(requests) / cell.oracle[0]
        return Result(ratio, cell.oracle[1], ratio <= cell.oracle[1])
    rate = float((stops > 0).mean())
    target = ALPHA if cell.wants == "level" else POWER
    error = 2 * math.sqrt(target * (1 - target) / runs)
    if cell.wants == "level":
        return Result(rate, target + error, rate <= target + error)
    return Result(rate, target - error, rate >= target - error)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--only", default="", help="cells whose name contains this")
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    cells = [cell for cell in all_cells() if options.only in cell.name]
    print(f"{options.runs:,} runs a cell, seed {options.seed}, alpha {ALPHA:.0%}, power {POWER:.0%}")
    print(f"{'cell':<50}{'measured':>10}{'bound':>10}{'':>5}{'seconds':>9}")
    failed = 0
    for cell in cells:
        start = time.perf_counter()
        result = measure(cell, options.runs, options.seed)
        failed += not result.ok
        relation = ">=" if cell.wants == "power" else "<="
        print(
            f"{cell.name:<50}{result.measured:>10.4f}{relation:>3}{result.bound:>7.4f}"
            f"{'ok' if result.ok else 'FAIL':>6}{time.perf_counter() - start:>8.0f}",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
