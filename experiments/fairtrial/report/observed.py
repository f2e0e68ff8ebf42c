"""The columns of a run's observations that plots are drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fairtrial.report.columns import numbers, read_parts, texts

_COLUMNS = ("arm", "time", "latency", "status", "segment")


@dataclass(frozen=True)
class Observed:
    """One entry per request, in order of intended time."""

    arm: npt.NDArray[np.str_]  # "" when unknown
    time: npt.NDArray[np.float64]  # intended send, seconds since the epoch
    latency: npt.NDArray[np.float64]  # seconds; infinite for a failed request
    split: npt.NDArray[np.bool_]  # went through the split, not straight to an arm

    @property
    def size(self) -> int:
        return self.time.size

    def of(self, arm: str) -> Observed:
        return self.where(self.arm == arm)

    def where(self, chosen: npt.NDArray[np.bool_]) -> Observed:
        return Observed(self.arm[chosen], self.time[chosen], self.latency[chosen], self.split[chosen])


def read(path: Path) -> Observed:
    """Observations from a folder of part-*.parquet or from one file; none if there is nothing there."""
    parts = read_parts(path, _COLUMNS)
    if not parts:
        nothing = np.zeros(0)
        return Observed(nothing.astype(str), nothing, nothing, nothing.astype(bool))
    time = np.concatenate([numbers(part, "time") for part in parts])
    status = np.concatenate([numbers(part, "status") for part in parts])
    latency = np.concatenate([numbers(part, "latency") for part in parts])
    order = np.argsort(time, kind="stable")
    answered = (status >= 200) & (status < 400) & np.isfinite(latency)
    return Observed(
        arm=np.array([arm or "" for part in parts for arm in texts(part, "arm")], dtype=str)[order],
        time=time[order],
        latency=np.where(answered, latency, np.inf)[order],
        split=np.array([name is not None for part in parts for name in texts(part, "segment")], dtype=bool)[
            order
        ],
    )
