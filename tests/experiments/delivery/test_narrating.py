"""The history as it is read, and the times that may be asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from fairtrial.delivery.ledger import GENESIS, Action, Entry
from fairtrial.delivery.narrating import as_documents, entry_at, lines_of, parse_time
from fairtrial.errors import ExitCode, UsageError

AT = datetime(2026, 11, 28, 16, 30, tzinfo=UTC).timestamp()


def entry(action: Action, version: str | None = "2", before: str | None = "1", **fields: object) -> Entry:
    said = {
        "seq": 1,
        "time": AT,
        "model": "wine",
        "why": "it is better by 9.1 pp",
        "by": "new-version (ann@host)",
        "event": "new-version:wine:2:1",
        "evidence": {"run": "wine-1", "reasons": ["it is better by 9.1 pp"], "verdict": "PROMOTE"},
        "previous": GENESIS,
    } | fields
    return Entry(action=action, version=version, before=before, **said)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-11-28T16:30", AT),
        ("2026-11-28 16:30:00", AT),
        ("2026-11-28T16:30Z", AT),
        ("2026-11-28T17:30+01:00", AT),
        ("2026-11-28T11:30-05:00", AT),
        ("2026-11-28", datetime(2026, 11, 28, 23, 59, 59, 999000, UTC).timestamp()),
        ("20261128", datetime(2026, 11, 28, 23, 59, 59, 999000, UTC).timestamp()),
        ("2026-W48-6", datetime(2026, 11, 28, 23, 59, 59, 999000, UTC).timestamp()),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise_and_a_day_is_its_end(said: str, meant: float) -> None:
    assert parse_time(said) == pytest.approx(meant, abs=1e-4)


@pytest.mark.parametrize(
    "said",
    ["yesterday", "", "28.11.2026", "2026-11-31", "16:30", "1750000000000", "2026-11-28T25:00",
     "0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00", "2026-11-28T16:30+99:00"],
)  # fmt: skip
def test_what_is_no_time_is_told_with_what_is(said: str) -> None:
    with pytest.raises(UsageError) as told:
        parse_time(said)
    assert told.value.exit_code == ExitCode.USAGE
    assert str(told.value) == (
        f"--at {said}: expected a time such as 2026-11-28, 2026-11-28T16:30 or 2026-11-28T16:30+01:00"
    )


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (entry(Action.ADOPTED, "1", None), "wine 1 is in service, by"),
        (entry(Action.ADOPTED), "wine 2 is in service (before: 1), by"),
        (entry(Action.PROMOTED), "wine 2 promoted (before: 1), by"),
        (entry(Action.REFUSED), "wine 2 refused, by"),
        (entry(Action.ROLLED_BACK, "1", "2"), "rolled back to wine 1 (before: 2), by"),
        (entry(Action.RETRAINING), "retraining started, by"),
        (entry(Action.NOTED), "noted of wine 2, by"),
        (entry(Action.NOTED, None, None), "noted of wine, by"),
        (entry(Action.FAILED, "3"), "failed for wine 3, by"),
    ],
)
def test_each_action_is_a_line_and_its_reason(told: Entry, line: str) -> None:
    lines = list(lines_of([told], full=False))
    assert lines == [
        f"2026-11-28 16:30:00Z  {line} new-version (ann@host)",
        "    it is better by 9.1 pp",
        f"1 entry, unbroken; the last one's hash is {told.hash[:16]}",
    ]


def test_long_reasons_are_cut_unless_all_is_wanted() -> None:
    long = entry(Action.PROMOTED, why="very " * 200 + "good")
    short = list(lines_of([long, long], full=False))
    assert max(map(len, short)) <= 110
    assert short[-2].endswith("...")
    assert short[-1].startswith("2 entries, unbroken")
    full = list(lines_of([long], full=True))
    assert any(line.endswith("good") for line in full)
    assert "    run: wine-1" in full
    assert "    event: new-version:wine:2:1" in full
    assert f"    hash: {long.hash}" in full


def test_no_history_is_said() -> None:
    assert list(lines_of([], full=True)) == ["nothing has happened yet"]


def test_which_version_was_in_service_then_and_why() -> None:
    assert list(entry_at(entry(Action.PROMOTED), AT + 60))[:2] == [
        "2026-11-28 16:31:00Z: wine 2 was in service, since 2026-11-28 16:30:00Z",
        "    because: it is better by 9.1 pp",
    ]
    assert list(entry_at(None, AT)) == ["2026-11-28 16:30:00Z: no version is known to have been in service"]


def test_documents_are_json_and_have_the_hash() -> None:
    told = entry(Action.PROMOTED)
    (document,) = json.loads(json.dumps(as_documents([told])))
    assert document["hash"] == told.hash
    assert (document["action"], document["at"]) == ("promoted", "2026-11-28 16:30:00Z")
