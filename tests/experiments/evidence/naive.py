"""Sums by hand, a row at a time: what the tables must come to."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from fairtrial.judge.evidence import Evidence, Stratum


def moments(rows: list[tuple[float, ...]]) -> list[float]:
    """n, means, sums of squares about them, sums of products; of one variable the sum of cubes as well."""
    data = np.array(rows)
    centred = data - data.mean(axis=0)
    first, second = np.triu_indices(data.shape[1], 1)
    if data.shape[1] == 1:
        return [len(rows), float(data.mean()), float((centred**2).sum()), float((centred**3).sum())]
    products = [(centred**2).sum(axis=0), (centred[:, first] * centred[:, second]).sum(axis=0)]
    return [len(rows), *data.mean(axis=0), *products[0], *products[1]]


def by_unit(rows: list[dict], origin: float, batch: float, arms: tuple[str, ...], value, covariate=None):
    """(stratum, arm) -> [numerator, requests, covariate] of each unit; and how many units switched arms.

    value: numerator of a row, or None where there is none to use.
    """
    requests = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["time"]):
        if row["unit"] is not None:
            requests[row["unit"]].append(row)
    cells, switched = defaultdict(list), 0
    for mine in requests.values():
        first = mine[0]
        switched += len({row["arm"] for row in mine}) > 1
        kept = [row for row in mine if row["arm"] == first["arm"]]
        values = [value(row) for row in kept if value(row) is not None]
        if not values:
            continue
        unit = [sum(values), len(values)]
        if covariate is not None:
            unit.append(next(row[covariate] for row in kept if value(row) is not None))
        stratum = Stratum(first["segment"], int((first["time"] - origin) // batch))
        cells[stratum, arms.index(first["arm"])].append(tuple(unit))
    return cells, switched


def assert_moments(evidence: Evidence, table: np.ndarray, cells: dict) -> None:
    """The table has the moments of those units, in every stratum and arm, and nothing else."""
    for i, stratum in enumerate(evidence.strata):
        for arm in range(len(evidence.arms)):
            rows = cells.get((stratum, arm))
            if rows is None:
                assert not table[i, arm].any()
            else:
                np.testing.assert_allclose(table[i, arm], moments(rows), rtol=1e-9, atol=1e-9)
