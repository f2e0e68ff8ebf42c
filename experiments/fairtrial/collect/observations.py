"""What is given out, as the observations that experiments read: Arrow, with the documented columns."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import orjson
import pyarrow as pa
from fairtrial_loadtests.scoring import Scorer, Scores

from fairtrial.collect.columns import LIVE_SCHEMA
from fairtrial.collect.giving import GIVEN
from fairtrial.collect.payloads import answer_of

_SECOND = 1e6  # microseconds
_NO_ANSWER = 0


def observations(rows: Sequence[Sequence[Any]]) -> Any:
    """A pyarrow.Table with `LIVE_SCHEMA` of rows with the columns `GIVEN`.

    A request whose answer is not known has status 0, and the longest latency that it may have had is not
    known either: it is 0, and not looked at, for a failed request is infinitely slow.
    """
    columns: dict[str, list[Any]] = {name: [] for name in LIVE_SCHEMA.names}
    for row in rows:
        each: dict[str, Any] = dict(zip(GIVEN, row, strict=True))
        asked, answered = each["asked"], each["answered"]
        known = answered is not None
        scores = _scores(each)
        reward = None if each["reward"] is None else float(orjson.loads(each["reward"]))
        columns["arm"].append(each["arm"])
        columns["time"].append(asked / _SECOND)
        columns["sent"].append(asked / _SECOND)
        columns["latency"].append(max(answered - asked, 0) / _SECOND if known else 0.0)
        columns["status"].append(each["status"] if known else _NO_ANSWER)
        columns["id"].append(f"{each['request_id']}@{each['arm']}")
        columns["unit"].append(each["unit"])
        columns["score"].append(reward if scores.score is None and each["truth"] is None else scores.score)
        columns["absoluteError"].append(scores.absolute_error)
        columns["squaredError"].append(scores.squared_error)
        columns["prediction"].append(_text(each))
        columns["sequence"].append(each["sequence"])
        columns["reward"].append(reward)
        columns["truth"].append(each["truth"])
    for unknown in ("pair", "row", "segment"):
        columns[unknown] = [None] * len(rows)
    return pa.Table.from_pydict(columns, schema=LIVE_SCHEMA)


def to_ipc(table: Any) -> bytes:
    """An Arrow IPC stream of it."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _scores(each: dict[str, Any]) -> Scores:
    if each["truth"] is None:
        return Scores()
    answer = None
    if each["prediction"] is not None and each["status"] is not None and each["status"] < 400:
        answer = answer_of(each["prediction"], each["form"])
    return Scorer([orjson.loads(each["truth"])]).score(0, answer)


def _text(each: dict[str, Any]) -> str | None:
    return None if each["prediction"] is None else answer_of(each["prediction"], each["form"]).text
