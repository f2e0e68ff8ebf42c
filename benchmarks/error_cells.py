"""The cells of `errors.py`: what is true of the arms, what is claimed, and by which method it is judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from bandit_runs import followed_proportions
from designs import of_mean, of_pairs, of_quantile, of_rates
from fairtrial.stats.binary import MINIMUM_EVENTS
from fairtrial.stats.mixture import required_drift
from fairtrial.stats.paired import MINIMUM_DISCORDANT
from scipy.special import ndtr, ndtri, rel_entr
from simulated import (
    LOOKS,
    PER_LOOK,
    Claim,
    Floats,
    LogNormal,
    Rewards,
    Trial,
    TwoMeans,
    TwoQuantiles,
    Users,
    paired_proportions,
    two_counts,
    two_proportions,
)

ALPHA, POWER = 0.05, 0.8
BATCHES_FIRST = 30  # looks before latency is judged: batches for the serial correlation
DESIGN = {"alpha": ALPHA, "power": POWER}
PLANNED = required_drift(ALPHA, POWER, LOOKS)


@dataclass(frozen=True)
class Cell:
    """One line of the table."""

    name: str
    draw: Callable[[np.random.Generator, int], Trial]
    claim: Claim
    wants: str = "level"  # or "power", or "oracle"
    method: str = "sequential"  # or "alwaysValid", "obrienFleming", "pocock", "fixedHorizon"
    first_look: int = 1
    every: int = 1  # look only at multiples of this
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


def method_cells() -> Iterator[Cell]:
    """Every other method at every look on two proportions, unpaired and paired."""
    for method in ("alwaysValid", "obrienFleming", "pocock", "fixedHorizon"):
        for cell in (*binary_cells(), *paired_cells()):
            if cell.wants == "level":
                yield replace(cell, name=f"{method}, {cell.name}", method=method)


def further_method_cells() -> Iterator[Cell]:
    """Five looks, and one, at every other kind of metric. An always valid boundary is above the sequential
    one at each look (a test holds it there), so that it errs on fewer of the same runs.
    """
    for method, looks in (("obrienFleming", 5), ("pocock", 5), ("fixedHorizon", 1)):
        for cell in (*kind_cells(), *mean_cells(), *quantile_cells()):
            if cell.wants == "level":
                yield replace(cell, name=f"{method}, {cell.name}", method=method, every=LOOKS // looks)


def rare_cells() -> Iterator[Cell]:
    """Base rates of 1% and 0.5%, with margins of half of them."""
    for base in (0.01, 0.005):
        for label, share in (("50/50", 0.5), ("90/10", 0.1)):
            first = math.ceil(MINIMUM_EVENTS / (PER_LOOK * min(share, 1 - share) * base))
            for name, sign in (("at minEffect", -1), ("at the margin", 1)):
                claim = Claim(sign * base / 2, relative=False, greater=sign > 0)
                rate = base + claim.margin
                yield Cell(
                    f"binary {base:.1%} {label}, {name}",
                    lambda rng, runs, base=base, share=share, rate=rate, claim=claim: two_proportions(
                        rng, runs, (constant(base), constant(rate)), constant(share), claim
                    ),
                    claim,
                    first_look=min(first, LOOKS),
                )


def binary_cells() -> Iterator[Cell]:
    base = 0.1
    for label, share in (("50/50", 0.5), ("90/10", 0.1)):
        first = math.ceil(MINIMUM_EVENTS / (PER_LOOK * share * base))
        for name, claim, rate, wants in (
            ("at minEffect", MET, base - 0.01, "level"),
            ("at the margin", HARMED, base + 0.01, "level"),
            ("at designEffect", HARMED, base + of_rates(base, HARMED, share=share, **DESIGN), "power"),
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
            (0.025, 0.025 + of_pairs((0.075, 0.025, 0.025, 0.875), HARMED, **DESIGN)),
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


def kind_cells() -> Iterator[Cell]:
    """Counts, proportions by user, and rewards with heavy tails, at margins of 10%."""
    for label, share in (("50/50", 0.5), ("90/10", 0.1)):
        for name, claim in (("at minEffect", FASTER), ("at the margin", SLOWER)):
            factor = 1 + claim.margin
            for rate in (0.5, 0.05):
                yield Cell(
                    f"count {rate:g} a request {label}, {name}",
                    lambda rng, runs, rate=rate, share=share, claim=claim, factor=factor: two_counts(
                        rng, runs, (rate, rate * factor), share, claim
                    ),
                    claim,
                    first_look=math.ceil(MINIMUM_EVENTS / (PER_LOOK * share * rate)),
                )
            yield Cell(
                f"proportion by user {label}, {name}",
                lambda rng, runs, share=share, claim=claim, factor=factor: Users.draw(
                    rng, runs, (0.1, 0.1 * factor), share, claim
                ),
                claim,
                first_look=4,
                chunk=200,
            )
            yield Cell(
                f"capped reward {label}, {name}",
                lambda rng, runs, share=share, claim=claim, factor=factor: Rewards.draw(
                    rng, runs, factor, share, claim
                ),
                claim,
                first_look=4,
                chunk=200,
            )


def mean_cells() -> Iterator[Cell]:
    for label, share in (("50/50", 0.5), ("90/10", 0.1)):
        design = 1 + of_mean(LATENCY, SLOWER, share=share, **DESIGN)
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

    def heavier(spread: float, target: float) -> LogNormal:
        return LogNormal(math.log(target) - spread * float(ndtri(q)), spread)

    design = 1 + of_quantile(LATENCY, q, SLOWER, share=0.5, **DESIGN)
    for name, share, claim, candidate, wants in (
        ("50/50, at minEffect", 0.5, FASTER, LATENCY.times(0.9), "level"),
        ("50/50, at the margin", 0.5, SLOWER, LATENCY.times(1.1), "level"),
        ("50/50, at designEffect", 0.5, SLOWER, LATENCY.times(design), "power"),
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


def bandit_cells() -> Iterator[Cell]:
    """Traffic that follows the evidence: at the margins, and in an A/A whose error rate drifts."""
    rising = np.linspace(0.05, 0.1, LOOKS)
    for name, claim, rates in (
        ("at the margin", HARMED, (constant(0.1), constant(0.11))),
        ("at minEffect", MET, (constant(0.1), constant(0.09))),
        ("A/A harmed while rates drift", Claim(0.0, relative=False, greater=True), (rising, rising)),
        ("A/A better while rates drift", Claim(0.0, relative=False, greater=False), (rising, rising)),
    ):
        yield Cell(
            f"bandit, {name}",
            lambda rng, runs, rates=rates, claim=claim: followed_proportions(rng, runs, rates, claim),
            claim,
            first_look=4,
        )


def oracle_cells() -> Iterator[Cell]:
    """Base error 10%, 20,000 requests an arm, planned for 12%; how many requests does a decision take?"""
    looks, base, planned = 400, 0.1, 0.12
    pooled = (base + planned) / 2
    drift = (planned - base) / math.sqrt(2 * pooled * (1 - pooled) / (looks * PER_LOOK / 2))
    claim = Claim(0.0, relative=False, greater=True)
    for method, rate, limit in (
        ("sequential", 0.12, 1.15),
        ("sequential", 0.15, 1.4),
        ("alwaysValid", 0.12, 1.4),
        ("alwaysValid", 0.15, 1.7),
    ):
        middle = (base + rate) / 2
        information = sum(
            float(rel_entr(p, middle) + rel_entr(1 - p, 1 - middle)) for p in (base, rate)
        )  # of one request an arm, against the nearest pair of equal rates
        yield Cell(
            f"{method} requests an arm, 10% against {rate:.0%}",
            lambda rng, runs, rate=rate: two_proportions(
                rng, runs, (constant(base, looks), constant(rate, looks)), constant(0.5, looks), claim
            ),
            claim,
            "oracle",
            method,
            first_look=math.ceil(MINIMUM_EVENTS / (PER_LOOK * 0.5 * base)),
            looks=looks,
            drift=drift,
            oracle=(math.log(1 / ALPHA) / information, limit),
            chunk=500,
        )


def quantile_oracle_cells() -> Iterator[Cell]:
    """A p99 that is 25% longer, long tails, planned for it. The oracle counts exceedances of the best cut."""
    q, slower = 0.99, 1.25
    base = LogNormal(math.log(0.06), 1.0)
    arms = (base, base.times(slower))
    best = math.inf
    for cut in np.linspace(arms[0].quantile(q) * 0.9, arms[1].quantile(q) * 1.1, 41):
        rates = [1 - float(ndtr((math.log(cut) - arm.centre) / arm.spread)) for arm in arms]
        middle = sum(rates) / 2
        if abs(middle - (1 - q)) < 0.0005:  # the pooled quantile is what is asked for
            information = sum(float(rel_entr(p, middle) + rel_entr(1 - p, 1 - middle)) for p in rates)
            best = min(best, math.log(1 / ALPHA) / information)
            drift = (rates[1] - rates[0]) / math.sqrt(2 * middle * (1 - middle) / (LOOKS * PER_LOOK / 2))
    claim = Claim(0.0, relative=True, greater=True)
    yield Cell(
        "sequential requests an arm, p99 latency +25%",
        lambda rng, runs: TwoQuantiles.draw(rng, runs, arms, 0.5, q, claim),
        claim,
        "oracle",
        first_look=BATCHES_FIRST,
        drift=drift,
        oracle=(best, 1.2),
        chunk=200,
    )


def all_cells() -> list[Cell]:
    families = (
        binary_cells,
        rare_cells,
        paired_cells,
        method_cells,
        kind_cells,
        mean_cells,
        quantile_cells,
        drifting_cells,
        bandit_cells,
        oracle_cells,
        quantile_oracle_cells,
        further_method_cells,
    )
    return [cell for family in families for cell in family()]
