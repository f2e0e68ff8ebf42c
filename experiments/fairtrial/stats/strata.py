"""Many strata of two proportions as one table of the same evidence.

A stratum is a segment x time batch: within it the split and the base rate are constant, across strata
both may drift. The Mantel-Haenszel weights w = n0 n1 / (n0 + n1) make the weighted difference of rates
free of that drift (pooled counts are not: at 10% then 50% of traffic while errors double, they show an
A/A to be harmful 45% of the time). A likelihood with one nuisance rate per stratum would be badly biased,
because a batch holds a handful of requests and there are hundreds of them (Neyman and Scott, 1948). So
the strata are first standardised to one table: both arms' rates under the same weights, at the sizes that
give the weighted difference its variance. The signed-root likelihood ratio of that table then has the right
skewness as well. Where base rates differ between strata, the binomial variance of the table is too large;
`heterogeneity` is the ratio of the hypergeometric variance, summed over strata, to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fairtrial.stats.score import FloatArray


class TableTerms(NamedTuple):
    """What a stratum adds to the table; [...] each. Sums of these over strata are all that is needed."""

    weight: FloatArray
    rate0: FloatArray
    rate1: FloatArray
    spread0: FloatArray
    spread1: FloatArray
    hypergeometric: FloatArray


@dataclass(frozen=True)
class Table:
    """Two proportions at effective sizes; arrays over any leading axes.

    rate0, rate1: standardised rates. size0, size1: effective arm sizes. information: sum of the
    weights. heterogeneity: variance over that of the table, near 1. variance: hypergeometric, of the sum of
    weighted differences.
    """

    rate0: FloatArray
    rate1: FloatArray
    size0: FloatArray
    size1: FloatArray
    information: FloatArray
    heterogeneity: FloatArray
    variance: FloatArray


def table_terms(n0: npt.ArrayLike, x0: npt.ArrayLike, n1: npt.ArrayLike, x1: npt.ArrayLike) -> TableTerms:
    """Terms of each stratum: sizes n and events x of baseline and candidate, any common shape."""
    n0, x0, n1, x1 = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in (n0, x0, n1, x1)))
    both = (n0 > 0) & (n1 > 0)
    size0, size1 = np.where(both, n0, 1.0), np.where(both, n1, 1.0)
    total = size0 + size1
    weight = np.where(both, size0 * size1 / total, 0.0)
    events = x0 + x1
    pooled = events * (total - events) / (total * (total - 1))
    return TableTerms(
        weight,
        weight * x0 / size0,
        weight * x1 / size1,
        weight**2 / size0,
        weight**2 / size1,
        weight * pooled,
    )


def standardise(terms: TableTerms) -> Table:
    """The table of terms summed over strata; rates and sizes are 0 where there is no information."""
    weight, rate0, rate1, spread0, spread1, hypergeometric = terms
    some = weight > 0
    safe = np.where(some, weight, 1.0)
    rate0, rate1 = np.clip(rate0 / safe, 0.0, 1.0), np.clip(rate1 / safe, 0.0, 1.0)
    size0 = np.where(some, weight**2 / np.where(some, spread0, 1.0), 0.0)
    size1 = np.where(some, weight**2 / np.where(some, spread1, 1.0), 0.0)
    total = np.where(some, size0 + size1, 2.0)
    pooled = (size0 * rate0 + size1 * rate1) / total
    binomial = weight * pooled * (1 - pooled) * total / (total - 1)  # as unbiased as the hypergeometric one
    usable = (binomial > 0) & (hypergeometric > 0)
    heterogeneity = np.where(usable, hypergeometric / np.where(usable, binomial, 1.0), 1.0)
    return Table(rate0, rate1, size0, size1, weight, heterogeneity, hypergeometric)


def table(n0: npt.ArrayLike, x0: npt.ArrayLike, n1: npt.ArrayLike, x1: npt.ArrayLike) -> Table:
    """The standardised table of counts [..., S]; a scalar is one stratum."""
    terms = table_terms(*(np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (n0, x0, n1, x1)))
    return standardise(TableTerms(*(term.sum(axis=-1) for term in terms)))
