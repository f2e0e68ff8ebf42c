"""Which split was in force when a request was made, told by the journal where the answer does not say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from fairtrial.controller.segments import Segments, labelled
from fairtrial.journal.entries import Effect, Entry, Kind

ENTRIES = [
    Entry(1, 10.0, Kind.INTENDED, Effect.DEPLOY, {"revision": "step-1"}),
    Entry(2, 20.0, Kind.DONE, Effect.DEPLOY, {"revision": "step-1"}),
    Entry(3, 21.0, Kind.DONE, Effect.LOAD, {}),
    Entry(4, 40.0, Kind.INTENDED, Effect.SHIFT, {"revision": "step-2"}),
    Entry(5, 50.0, Kind.DONE, Effect.SHIFT, {"revision": "step-2"}),
]


def entries() -> list[Entry]:
    return ENTRIES


def observed(*segments: str | None, arm: str = "v1") -> Any:
    times = [15.0, 21.0, 30.0, 45.0, 51.0, 60.0]
    return pa.record_batch(
        {
            "arm": [arm] * len(times),
            "time": times,
            "segment": pa.array([segments[0]] * len(times) if len(segments) == 1 else segments, pa.string()),
        }
    )


def test_nothing_is_said_while_the_split_changes_nor_just_after():
    labels = Segments(ENTRIES).at(np.array([5.0, 15.0, 21.0, 30.0, 45.0, 51.0, 60.0]))
    assert labels == [None, None, None, "step-1", None, None, "step-2"]


def test_answers_of_a_split_that_do_not_say_are_labelled_by_the_journal():
    assert labelled(observed(""), entries)["segment"].to_pylist() == [
        "",
        "",
        "step-1",
        "",
        "",
        "step-2",
    ]


def test_what_an_answer_says_stands_and_so_does_what_was_sent_straight_to_an_arm():
    said = observed("mine", None, "", "mine", None, "")
    assert labelled(said, entries)["segment"].to_pylist() == [
        "mine",
        None,
        "step-1",
        "mine",
        None,
        "step-2",
    ]


def test_who_did_not_answer_is_nobodys_and_has_no_label():
    silent = observed("", arm="")
    assert labelled(silent, entries)["segment"].to_pylist() == [""] * 6
