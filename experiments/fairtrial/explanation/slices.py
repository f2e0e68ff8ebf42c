"""The slices of the data on which the candidate loses: classes of the target, and bins of each feature.

Exploratory. A slice counts if the candidate loses in it, and loses more than in the other rows: a candidate
that is worse everywhere has no slice to show. Many slices are looked at, so one is named only if it passes
Benjamini and Hochberg's procedure (1995) at 5% over all of them, and those named are ranked by how much is
lost there, shrunk towards the whole (empirical Bayes, method of moments), so that small ones do not lead by
luck.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from fairtrial.explanation.rows import Compared
from fairtrial.report.columns import Floats, Table, Texts, values

FALSE_DISCOVERY_RATE = 0.05
_FEWEST_ROWS = 10
_FEWEST_DISCORDANT = 5  # with fewer, no split of them could pass
_MOST_VALUES = 20  # a column of numbers with more is cut into quarters
_MOST_CATEGORIES = 12  # of a text column, the most frequent ones
_SAME = 0.6  # Jaccard overlap from which two slices tell the same story

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Slice:
    """Rows that have something in common. Losses are means over them."""

    name: str  # 'digit = 8', 'alcohol from 9.2 to 10.1'
    rows: int
    baseline: float
    candidate: float
    p_value: float
    shrunk: float  # difference of the losses, shrunk towards the whole


@dataclass(frozen=True)
class Search:
    """What was looked through, and what stood out."""

    looked_at: int
    found: tuple[Slice, ...]  # worst first
    nearest: Slice | None  # the smallest p-value, where nothing stood out


def search(compared: Compared, dataset: Table, target: str | None, most: int = 5) -> Search:
    """Look for slices in which the candidate loses more than the baseline.

    `dataset` is the one that was replayed: `compared.row` counts its rows from 0.
    """
    tested: list[tuple[Slice, Mask]] = []
    columns = sorted(dataset.column_names, key=lambda name: name != target)
    for name in columns:
        for label, mask in _cuts(name, dataset, compared.row):
            found = _test(label, mask, compared)
            if found is not None:
                tested.append((found, mask))
    shrunk = _shrink(tested, compared)
    passing = _benjamini_hochberg(np.array([each.p_value for each, _ in shrunk]))
    worst = sorted(
        (pair for pair, passes in zip(shrunk, passing, strict=True) if passes),
        key=lambda pair: (-pair[0].shrunk, pair[0].name),
    )
    distinct: list[tuple[Slice, Mask]] = []
    for each, mask in worst:
        if all(_overlap(mask, other) < _SAME for _, other in distinct):
            distinct.append((each, mask))
    nearest = min((each for each, _ in shrunk), key=lambda each: each.p_value, default=None)
    return Search(len(tested), tuple(each for each, _ in distinct[:most]), nearest)


def _cuts(name: str, dataset: Table, row: npt.NDArray[np.int64]) -> Iterator[tuple[str, Mask]]:
    """The slices of one column, as masks over the compared rows."""
    column = values(dataset, name)
    if isinstance(column, list):
        yield from _text_cuts(name, [column[i] for i in row])
    elif column is not None:
        yield from _number_cuts(name, column[row])


def _text_cuts(name: str, column: Texts) -> Iterator[tuple[str, Mask]]:
    counts = sorted(Counter(column).items(), key=lambda entry: (-entry[1], str(entry[0])))
    for value, _ in counts[:_MOST_CATEGORIES]:
        label = f"{name} is missing" if value is None else f"{name} = {value}"
        yield label, np.array([each == value for each in column], dtype=bool)


def _number_cuts(name: str, numbers: Floats) -> Iterator[tuple[str, Mask]]:
    missing = np.isnan(numbers)
    if missing.any():
        yield f"{name} is missing", missing
    known = numbers[~missing]
    distinct = np.unique(known)
    if distinct.size <= _MOST_VALUES:
        if distinct.size > 1:
            for value in distinct:
                yield f"{name} = {value:g}", numbers == value
        return
    edges = np.unique(np.quantile(known, (0, 0.25, 0.5, 0.75, 1)))
    for low, high in pairwise(edges):
        last = high == edges[-1]
        mask = (numbers >= low) & ((numbers <= high) if last else (numbers < high))
        yield f"{name} from {low:.4g} to {high:.4g}", mask


def _test(name: str, mask: Mask, compared: Compared) -> Slice | None:
    """Whether the candidate loses here, and more than elsewhere. None where there is too little to test."""
    difference = compared.difference[mask]
    if min(difference.size, mask.size - difference.size) < _FEWEST_ROWS:
        return None
    worse, better = int((difference > 0).sum()), int((difference < 0).sum())
    if worse + better < _FEWEST_DISCORDANT:
        return None
    loses = _mcnemar(worse, better) if compared.binary else _paired_t(difference)
    # Both must be so, hence the larger p-value (intersection-union).
    p_value = max(loses, _welch(difference, compared.difference[~mask]))
    return Slice(
        name,
        difference.size,
        float(compared.baseline[mask].mean()),
        float(compared.candidate[mask].mean()),
        p_value,
        float(difference.mean()),
    )


def _mcnemar(worse: int, better: int) -> float:
    """McNemar's exact test: P(X >= worse) where X is binomial with probability 1/2."""
    from scipy.special import bdtrc

    return float(bdtrc(worse - 1, worse + better, 0.5)) if worse else 1.0


def _welch(here: Floats, elsewhere: Floats) -> float:
    """Welch's t test, one-sided for a larger mean here."""
    from scipy.special import stdtr

    parts = here.var(ddof=1) / here.size, elsewhere.var(ddof=1) / elsewhere.size
    gap, variance = float(here.mean() - elsewhere.mean()), float(sum(parts))
    if variance == 0:
        return 0.0 if gap > 0 else 1.0
    freedom = variance**2 / (parts[0] ** 2 / (here.size - 1) + parts[1] ** 2 / (elsewhere.size - 1))
    return float(stdtr(freedom, -gap / np.sqrt(variance)))


def _paired_t(difference: Floats) -> float:
    from scipy.special import stdtr

    deviation = float(difference.std(ddof=1))
    if deviation == 0:
        return 0.0 if difference[0] > 0 else 1.0
    t = float(difference.mean()) / (deviation / np.sqrt(difference.size))
    return float(stdtr(difference.size - 1, -t))


def _shrink(tested: list[tuple[Slice, Mask]], compared: Compared) -> list[tuple[Slice, Mask]]:
    """Each slice's difference, weighted against the whole's by how much slices really differ."""
    if not tested:
        return []
    raw = np.array([each.shrunk for each, _ in tested])
    variance = np.array([compared.difference[mask].var(ddof=1) / each.rows for each, mask in tested])
    whole = float(compared.difference.mean())
    between = max(float(np.mean((raw - whole) ** 2 - variance)), 0.0)
    weight = between / np.maximum(between + variance, 1e-300)
    moved = whole + weight * (raw - whole)
    return [
        (Slice(s.name, s.rows, s.baseline, s.candidate, s.p_value, float(to)), mask)
        for (s, mask), to in zip(tested, moved, strict=True)
    ]


def _benjamini_hochberg(p_values: Floats) -> Mask:
    """Which hypotheses are rejected at the false discovery rate."""
    order = np.argsort(p_values)
    limits = FALSE_DISCOVERY_RATE * np.arange(1, p_values.size + 1) / max(p_values.size, 1)
    below = np.flatnonzero(p_values[order] <= limits)
    rejected = np.zeros(p_values.size, dtype=bool)
    if below.size:
        rejected[order[: below[-1] + 1]] = True
    return rejected


def _overlap(one: Mask, other: Mask) -> float:
    either = int((one | other).sum())
    return int((one & other).sum()) / either if either else 0.0
