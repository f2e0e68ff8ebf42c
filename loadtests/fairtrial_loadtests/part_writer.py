"""What becomes of recorded observations: parts in a folder, and what the load says of itself in the end."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from fairtrial_loadtests.lags import BEHIND, LagHistogram
from fairtrial_loadtests.observation import Table
from fairtrial_loadtests.parts import part_path, replace_file

# Dictionaries where values recur; statistics where a reader may want to skip.
_PARQUET: dict[str, Any] = {
    "use_dictionary": ["arm", "unit", "segment", "prediction"],
    "write_statistics": ["time"],
}
_ENOUGH = 20  # requests in a part whose lags say something


class PartWriter:
    """Writes tables as parts, each after the one before, and counts what is in them.

    `tell` is told in a sentence, once, when the sending has fallen behind its schedule.
    """

    def __init__(self, folder: Path, first_part: int, tell: Callable[[str], None]) -> None:
        self.lags = LagHistogram()
        self.requests = self.dropped = self.failures = 0
        self._folder = folder
        self._part = first_part
        self._tell = tell
        self._told = False

    def write(self, table: Table, epoch: float) -> None:
        """Write the next part; an empty one is not written. Raises OSError if the folder takes no more.

        `table` is in the columns of `SCHEMA`, its times in seconds since the load's start at `epoch`.
        """
        if table.num_rows == 0:
            return
        self._count(table)
        for name in ("time", "sent"):
            place = table.column_names.index(name)
            moments = pa.array(table[name].to_numpy() + epoch, from_pandas=True)
            table = table.set_column(place, table.schema.field(name), moments)
        buffer = io.BytesIO()
        parquet.write_table(table, buffer, **_PARQUET)
        replace_file(part_path(self._folder, self._part), buffer.getvalue())
        self._part += 1

    def _count(self, table: Table) -> None:
        lags = table["sent"].to_numpy() - table["time"].to_numpy()
        status = table["status"].to_numpy()
        self.lags.add(lags)
        median = float(np.nanmedian(lags)) if np.count_nonzero(~np.isnan(lags)) >= _ENOUGH else 0.0
        if median > BEHIND and not self._told:
            self._told = True
            self._tell(f"the load falls behind its schedule: requests now leave {median * 1000:.0f} ms late")
        self.requests += table.num_rows
        self.dropped += int(np.count_nonzero(np.isnan(lags)))
        self.failures += int(np.count_nonzero((status < 200) | (status >= 300)))

    def summary(self, *, reason: str, first_arrival: int, next_arrival: int) -> dict[str, object]:
        """What `load.json` says: times in seconds, arrivals by number."""
        return {
            "reason": reason,
            "firstArrival": first_arrival,
            "nextArrival": next_arrival,
            "arrivals": next_arrival - first_arrival,
            "requests": self.requests,
            "sent": self.requests - self.dropped,
            "dropped": self.dropped,
            "failures": self.failures,
            "lagP50": self.lags.quantile(0.5),
            "lagP99": self.lags.quantile(0.99),
            "behind": self.lags.sentence(),
        }
