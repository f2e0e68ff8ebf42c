"""Runs whose traffic follows the evidence as a bandit divides it, for the benchmark of the verdicts."""

from __future__ import annotations

import numpy as np
from fairtrial.experiment.strategy import UNIT
from fairtrial.stats.binary import MINIMUM_EVENTS, table_events, table_z
from fairtrial.stats.strata import TableTerms, standardise, table_terms
from scipy.special import ndtr
from simulated import LOOKS, PER_LOOK, Claim, Floats, Matrix

EVERY = 5  # looks between two divisions
FLOOR = 0.1


def followed_proportions(
    rng: np.random.Generator, runs: int, rates: tuple[Floats, Floats], claim: Claim
) -> Matrix:
    """Two failure rates ([looks] each), one stratum a look; every fifth look divides the traffic anew.

    A boundary knows information, not time, and each run gathers it at its own pace: the statistic at
    look k is the one at which the run first had k / looks of what an even split brings, NaN if it never had.
    """
    units = round((1 - 2 * FLOOR) * 100 / UNIT)
    share = np.full(runs, 0.5)
    total = TableTerms(*np.zeros((len(TableTerms._fields), runs)))
    information = np.zeros(runs)
    z = np.full((runs, LOOKS), np.nan)
    taken = np.zeros(runs, np.int64)  # looks by information that a run has had
    for look in range(LOOKS):
        n1 = rng.binomial(PER_LOOK, share)
        n0 = PER_LOOK - n1
        terms = table_terms(n0, rng.binomial(n0, rates[0][look]), n1, rng.binomial(n1, rates[1][look]))
        total = TableTerms(*(before + new for before, new in zip(total, terms, strict=True)))
        information += n0 * n1 / PER_LOOK
        table = standardise(total)
        enough = table_events(table, margin=claim.margin, relative=claim.relative) >= MINIMUM_EVENTS
        now = np.where(enough, table_z(table, margin=claim.margin, relative=claim.relative), np.nan)
        due = information >= (taken + 1) * PER_LOOK / 4 - 1e-9
        z[due, taken[due]] = now[due]
        taken += due
        if look % EVERY == EVERY - 1:
            worse = table_z(table, margin=0.0, relative=False)
            chance = np.where(np.isfinite(worse), ndtr(-worse), 0.5)
            share = FLOOR + np.round(chance * units) * UNIT / 100
    return Matrix(z)
