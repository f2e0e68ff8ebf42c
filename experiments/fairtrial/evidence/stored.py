"""The baseline's observations of an earlier run, put beside those of a candidate that is loaded alone.

Where both runs sent the same arrivals, the candidate's answer to arrival n and the stored one to it are
halves of a pair, if they are of the same row: at the same moment of the schedule. Elsewhere the n-th
observations are put beside each other, so that both arms are spread over the same time, unpaired.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from fairtrial.evidence.arrow import BoolArray, FloatArray, Index, Tabular

#: pyarrow has no types.
Schema: TypeAlias = Any

#: The arm of a timing of the reference: no arm of an experiment can be called so.
REFERENCE = "~reference"


class Beside:
    """Takes the candidate's observations in order of time, and adds the baseline's."""

    def __init__(self, stored: Tabular) -> None:
        """stored: columns of an observation, by arrival; `pair` is its number, if both runs have them."""
        self._stored = stored
        pairs = np.array(stored.column("pair").to_pylist(), np.float64)
        self._paired = bool(pairs.size) and not np.isnan(pairs).any()
        self._keys = pairs.astype(np.int64) if self._paired else np.arange(stored.num_rows)
        has_rows = "row" in stored.column_names
        self._rows = np.array(stored.column("row").to_pylist() if has_rows else [], np.float64)
        self._seen = 0

    def __call__(self, observations: Tabular, reference: float | None = None) -> Tabular:
        """The observations with those of the baseline among them, in order of time.

        reference: seconds that the fixed computation took when these had come.
        """
        rows = observations.num_rows
        if not rows:
            return observations
        time = np.array(observations.column("time").to_pylist(), np.float64)
        keys = self._keys_of(observations)
        at = np.minimum(np.searchsorted(self._keys, keys), max(self._keys.size - 1, 0))
        known = self._keys[at] == keys if self._keys.size else np.zeros(rows, np.bool_)
        # What has no counterpart is no half of a pair that might be missing.
        halves = known & self._same_row(at, known, observations)
        pair = pa.array(keys, mask=~halves)
        present = observations.set_column(observations.schema.get_field_index("pair"), "pair", pair)
        answers = self._answers(at[known], time[known], present.schema)
        stored = pa.array(keys[known], mask=~halves[known])
        answers = answers.set_column(answers.schema.get_field_index("pair"), "pair", stored)
        parts = [present, answers]
        if reference is not None:
            parts.append(_timing(reference, float(time.max()), present.schema))
        return pa.concat_tables(parts).sort_by("time")

    def _same_row(self, at: Index, known: BoolArray, observations: Tabular) -> BoolArray:
        """Of each observation, whether it and the stored one are of one row: versions may draw others."""
        if not self._paired or "row" not in observations.column_names:
            return np.zeros(len(at), np.bool_)
        now = np.array(observations.column("row").to_pylist(), np.float64)
        then = self._rows[at] if self._rows.size else np.full(len(at), np.nan)
        return known & (now == then)

    def _keys_of(self, observations: Tabular) -> Index:
        if self._paired:
            pairs = observations.column("pair").to_pylist()
            return np.array([-1 if pair is None else pair for pair in pairs], np.int64)
        first, self._seen = self._seen, self._seen + observations.num_rows
        return np.arange(first, self._seen)

    def _answers(self, at: Index, time: FloatArray, schema: Schema) -> Tabular:
        """The stored observations at these places, at these times."""
        taken = self._stored.take(pa.array(at))
        columns = {
            field.name: taken.column(field.name).cast(field.type)
            if field.name in taken.column_names
            else pa.nulls(len(at), field.type)
            for field in schema
        }
        return pa.table(columns | {"time": pa.array(time, schema.field("time").type)}, schema=schema)


def _timing(seconds: float, time: float, schema: Schema) -> Tabular:
    known = {"arm": REFERENCE, "time": time, "latency": seconds, "status": 200}
    columns = {field.name: pa.array([known.get(field.name)], field.type) for field in schema}
    return pa.table(columns, schema=schema)
