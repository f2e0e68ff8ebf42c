"""Evidence of an A/A run as it might as well have come out: the arms exchanged for stretches of time.

Where both arms are the same model, nothing tells them apart but chance, and the names of a stretch may be
exchanged by the toss of a coin. Stretches of several time batches keep the likeness of neighbouring requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from fairtrial.judge.evidence import Evidence

_Table = TypeVar("_Table", bound=npt.NDArray[np.generic])

#: The columns of a pair's table and moments with its halves exchanged: 10 and 01, both means, both M2.
_PAIRS_EXCHANGED = [0, 2, 1, 3]
_MOMENTS_EXCHANGED = [0, 2, 1, 4, 3, 5]


def relabelled(evidence: Evidence, exchanged: npt.NDArray[np.bool_]) -> Evidence:
    """The evidence of two arms, with their names exchanged in the strata where `exchanged` ([S]) is true.

    The figures by arm that know no strata (latencies for the report, units) stay as they are.
    Raises ValueError if there are not two arms.
    """
    if len(evidence.arms) != 2:
        raise ValueError(f"only two arms can be exchanged, not {len(evidence.arms)}")

    def arms(table: _Table) -> _Table:
        flipped = table.copy()
        flipped[exchanged] = table[exchanged][:, ::-1]
        return flipped

    def columns(order: list[int]) -> Callable[[_Table], _Table]:
        def exchange(table: _Table) -> _Table:
            flipped = table.copy()
            flipped[exchanged] = table[exchanged][..., order]
            return flipped

        return exchange

    return replace(
        evidence,
        requests=arms(evidence.requests),
        errors=arms(evidence.errors),
        binary=_each(evidence.binary, arms),
        moments=_each(evidence.moments, arms),
        uncapped=_each(evidence.uncapped, arms),
        counts=_each(evidence.counts, arms),
        joint=_each(evidence.joint, arms),
        histograms=_each(evidence.histograms, arms),
        pair_tables=_each(evidence.pair_tables, columns(_PAIRS_EXCHANGED)),
        pair_moments=_each(evidence.pair_moments, columns(_MOMENTS_EXCHANGED)),
    )


def _each(tables: Mapping[str, _Table], change: Callable[[_Table], _Table]) -> dict[str, _Table]:
    return {name: change(table) for name, table in tables.items()}
