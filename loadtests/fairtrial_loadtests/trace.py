"""The moments of a recorded load, from a column of times or an access log."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fairtrial_loadtests.errors import BadLoadError
from fairtrial_loadtests.plan import Trace
from fairtrial_loadtests.tables import listed, read_file

_LOG_TIME = re.compile(r"\[(\d{2}/\w{3}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4})\]")
_LOG_FORMAT = "%d/%b/%Y:%H:%M:%S %z"
_PER_SECOND = (1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (np.inf, 1e9)  # epochs by size: s, ms, us, ns
TRACE = 3  # purpose of the generator, beside those of `arrivals`

_Arrow = Any


def read_trace(trace: Trace, seed: int) -> NDArray[np.float64]:
    """When each arrival comes, in seconds since the first, in order; already as fast as `speed` says.

    Times in whole seconds say nothing of the moments within: each is moved into its second at random, by the
    seed. Raises BadLoadError if the file is missing, is no trace or has fewer than two arrivals.
    """
    times = np.sort(_log_times(trace.file) if trace.file.suffix == ".log" else _column_times(trace))
    if times.size < 2:
        raise BadLoadError(f"{trace.file} has {times.size} times: a trace needs two at least.")
    times = times - times[0]
    if times[-1] > 0 and np.array_equal(times, np.floor(times)) and np.any(np.diff(times) == 0):
        times = np.sort(times + np.random.default_rng([seed, TRACE]).random(times.size))
        times = times - times[0]
    if times[-1] == 0:
        raise BadLoadError(f"All times of {trace.file} are the same: that is no load to replay.")
    return times / trace.speed


def _column_times(trace: Trace) -> NDArray[np.float64]:
    table = read_file(trace.file, "`arrivals.trace.file` must name recorded times", trace.column)
    if trace.column not in table.column_names:
        raise BadLoadError(
            f"{trace.file} has no column {trace.column!r}, which is named as the trace's times; "
            f"its columns are {listed(table.column_names)}."
        )
    cells = table.column(trace.column)
    if cells.null_count:
        row = cells.is_null().index(True).as_py()
        raise BadLoadError(f"{trace.file} has an empty cell in column {trace.column!r}, row {row}.")
    kind = cells.type
    if pa.types.is_timestamp(kind):
        return _seconds(cells)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _epochs(trace, np.asarray(cells.to_numpy(), dtype=np.float64))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _texts(trace, cells)
    raise BadLoadError(
        f"{trace.file} has {kind} values in column {trace.column!r}: times are timestamps, numbers of "
        "seconds or ISO 8601 texts."
    )


def _seconds(cells: _Arrow) -> NDArray[np.float64]:
    moments = cells.cast(pa.timestamp("us", cells.type.tz), safe=False).cast(pa.int64()).to_numpy()
    return (moments - moments.min(initial=np.iinfo(np.int64).max)) / 1e6


def _epochs(trace: Trace, values: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.all(np.isfinite(values)):
        raise BadLoadError(f"{trace.file} has a time that is no number in column {trace.column!r}.")
    largest = float(np.max(np.abs(values), initial=0.0))
    per_second = next(per for most, per in _PER_SECOND if largest < most)
    return (values - values.min(initial=np.inf)) / per_second


def _texts(trace: Trace, cells: _Arrow) -> NDArray[np.float64]:
    try:
        return np.array([_moment(text) for text in cells.to_pylist()])
    except ValueError as error:
        raise BadLoadError(
            f"{trace.file} has times in column {trace.column!r} that cannot be read: {error}. "
            "Give ISO 8601, as in 2026-11-28T16:45:29Z."
        ) from None


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.strptime(text, _LOG_FORMAT)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _log_times(file: Path) -> NDArray[np.float64]:
    """The times in brackets of an access log, as nginx, Apache and Envoy write it by default."""
    times: list[float] = []
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if (found := _LOG_TIME.search(line)) is not None:
                    times.append(datetime.strptime(found[1], _LOG_FORMAT).timestamp())
    except OSError as error:
        raise BadLoadError(f"The trace {file} cannot be read: {error.strerror}.") from error
    return np.array(times)
