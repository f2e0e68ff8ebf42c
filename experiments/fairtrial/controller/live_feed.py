"""Live traffic read through the seam of a load: what a source tells becomes parts, as a load's requests do.

What was written is judged, so that a run which is resumed, replayed or explained has the same observations;
the last part says where to read on. Whatever keeps the source from answering is waited for: it says nothing
of the arms.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from fairtrial_loadtests.parts import part_path, parts_from, replace_file
from pyarrow import parquet

from fairtrial.clock import Clock
from fairtrial.errors import FairtrialError
from fairtrial.evidence.arrow import FloatArray, Tabular, floats
from fairtrial.experiment.live import Live
from fairtrial.experiment.quantities import format_duration

_EVERY = 0.5  # seconds between readings
#: The column by which a source is read on.
CURSOR = "sequence"


class ProviderError(Exception):
    """The source does not answer now; the message says which, and what it said."""


@dataclass(frozen=True)
class Reading:
    """Observations in order, with the column `sequence`."""

    table: Tabular
    more: bool = False  # whether others wait to be read at once
    span: float = 0.0  # seconds before its time in which a request may have been made


class LiveSource(Protocol):
    """Where observations of live traffic come from."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    def read(self, after: int | None) -> Reading:
        """What comes after a number; None: from the run's start.

        Raises ProviderError when it does not answer now, UsageError for what is no such source.
        """
        ...


class LiveFeed:
    """A `StartableLoad` that sends nothing.

    segments: the label of the split at each time. tell: journals and shows a sentence.
    """

    def __init__(
        self,
        source: LiveSource,
        live: Live,
        observations: Path,
        clock: Clock,
        *,
        segments: Callable[[FloatArray], Sequence[str | None]],
        tell: Callable[[str], None],
    ) -> None:
        self._source = source
        self._live = live
        self._folder = observations
        self._clock = clock
        self._segments = segments
        self._tell = tell
        self._next_part = 0
        self._cursor: int | None = None
        self._next = self._heard = self._came = 0.0
        self._silent = self._quiet = False  # the source does not answer; it answers, and nothing comes
        self._started = self._over = False
        self._code = 0
        self._error = ""

    # ---- as a load

    def start(self) -> None:
        """Read on where the recorded observations end."""
        self._next_part, self._cursor = recorded_until(self._folder)
        self._heard = self._came = self._next = self._clock.now()
        self._started = True

    @property
    def alive(self) -> bool:
        return self._started and not self._over

    @property
    def returncode(self) -> int | None:
        return self._code if self._over else None

    @property
    def error(self) -> str:
        return self._error

    def incidents(self) -> Sequence[str]:
        return ()  # told at once

    def stop(self) -> int:
        self._over = True
        return self._code

    def poll(self) -> list[Path]:
        """The part that was written of what is new, if anything is."""
        now = self._clock.now()
        if self._over or now < self._next:
            return []
        self._next = now + _EVERY
        try:
            reading = self._source.read(self._cursor)
        except ProviderError as error:
            self._wait_for_source(str(error), now)
            return []
        except FairtrialError as error:
            self._over, self._code, self._error = True, int(error.exit_code), str(error)
            return []
        self._note_answer(now)
        if reading.table.num_rows == 0:
            self._wait_for_requests(now)
            return []
        self._note_requests(now)
        if reading.more:
            self._next = now
        return [self._write(reading.table, reading.span)]

    # ---- waiting

    def _wait_for_source(self, why: str, now: float) -> None:
        if not self._silent:
            self._silent = True
            self._tell(f"{why}; the run waits, and no arm is blamed for it")
        if self._live.on_provider_error != "hold" and now - self._heard >= self._live.patience:
            self._give_up(f"{self._source.name} has not answered", "onProviderError")

    def _note_answer(self, now: float) -> None:
        if self._silent:
            self._silent = False
            self._tell(f"{self._source.name} answers again, after {_rounded(now - self._heard)}")
            self._came = now  # nothing could come meanwhile
        self._heard = now

    def _wait_for_requests(self, now: float) -> None:
        if now - self._came < self._live.patience:
            return
        if not self._quiet:
            self._quiet = True
            self._tell(f"{self._source.name} has told of no request for {_rounded(now - self._came)}")
        if self._live.on_no_data != "hold":
            self._give_up("no request has come", "onNoData")

    def _note_requests(self, now: float) -> None:
        if self._quiet:
            self._quiet = False
            self._tell(f"requests come again, after {_rounded(now - self._came)}")
        self._came = now

    def _give_up(self, what: str, policy: str) -> None:
        self._over = True
        patience = format_duration(self._live.patience)
        self._tell(f"{what} for {patience}: the run ends with what it has ({policy}: inconclusive)")

    # ---- writing

    def _write(self, table: Tabular, span: float) -> Path:
        times = floats(table.combine_chunks().to_batches()[0], "time")
        assert times is not None, "the documented columns are there"
        at = table.schema.get_field_index("segment")
        labels = self._segments(times)
        if span:
            earlier = self._segments(times - span)
            labels = [now if now == then else None for now, then in zip(labels, earlier, strict=True)]
        table = table.set_column(at, "segment", pa.array(labels, pa.string()))
        buffer = io.BytesIO()
        parquet.write_table(table, buffer)
        path = part_path(self._folder, self._next_part)
        self._folder.mkdir(parents=True, exist_ok=True)
        replace_file(path, buffer.getvalue())
        self._next_part += 1
        self._cursor = int(table.column(CURSOR)[-1].as_py())
        return path


def recorded_until(observations: Path) -> tuple[int, int | None]:
    """(number of the next part, the cursor to read on after), from the parts that can be read."""
    parts = list(parts_from(observations, 0))
    while parts:
        with contextlib.suppress(pa.ArrowException, OSError):
            numbers: Any = parquet.ParquetFile(parts[-1]).read([CURSOR]).column(CURSOR)
            return len(parts), int(numbers[-1].as_py())
        parts.pop()  # the machine went down while it was written: it is written again
    return 0, None


def _rounded(seconds: float) -> str:
    return format_duration(float(max(1, round(seconds))))
