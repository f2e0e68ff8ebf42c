"""What a clock and a ledger tell: schedules and ages, by a clock that the test moves."""

from __future__ import annotations

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from fairtrial.delivery.events import Event, Happening
from fairtrial.delivery.triggers.expiry import ExpiryTrigger
from fairtrial.delivery.triggers.interface import Polled
from fairtrial.delivery.triggers.schedule import ScheduleTrigger
from fairtrial.times import TimesError, check_cron, check_zone

BERLIN = "Europe/Berlin"
DAY = 86400.0


def moment(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def came(polled: Polled) -> list[tuple[str, int]]:
    return [(event.key, event.body["missed"]) for event in polled.events]


def test_the_first_start_gives_no_event_and_the_next_time_one():
    nightly = ScheduleTrigger("nightly", "0 3 * * *", "UTC")
    first = nightly.poll(moment("2026-11-28T10:00"), None)
    assert first.events == ()
    before = nightly.poll(moment("2026-11-29T02:59:59"), first.cursor)
    assert before.events == ()
    at = moment("2026-11-29T03:00")
    due = nightly.poll(at, before.cursor)
    assert due.events == (
        Event("nightly:2026-11-29T03:00:00Z", Happening.SCHEDULED, "nightly", at, {"at": at, "missed": 0}),
    )
    assert nightly.poll(at + 1, due.cursor).events == ()


def test_what_was_missed_is_one_event_the_latest_with_how_many():
    hourly = ScheduleTrigger("hourly", "0 * * * *", "UTC")
    first = hourly.poll(moment("2026-11-28T10:30"), None)
    late = hourly.poll(moment("2026-11-29T10:15"), first.cursor)
    assert came(late) == [("hourly:2026-11-29T10:00:00Z", 23)]
    assert hourly.poll(moment("2026-11-29T10:59"), late.cursor).events == ()


def test_it_is_due_when_the_line_says_and_at_once_after_a_start():
    weekly = ScheduleTrigger("weekly", "30 4 * * 1", BERLIN)
    now = moment("2026-11-28T12:00", BERLIN)
    assert weekly.due(now, None) == now
    assert weekly.due(now + 7, now) == moment("2026-11-30T04:30", BERLIN)


def test_an_hour_that_is_left_out_comes_after_the_gap_and_one_that_comes_twice_comes_once():
    nightly = ScheduleTrigger("nightly", "30 2 * * *", BERLIN)
    spring = nightly.poll(moment("2026-03-28T12:00", BERLIN), None)
    gap = nightly.poll(moment("2026-03-29T03:00", BERLIN), spring.cursor)
    assert came(gap) == [("nightly:2026-03-29T01:00:00Z", 0)]
    assert came(nightly.poll(moment("2026-03-30T02:30", BERLIN), gap.cursor)) == [
        ("nightly:2026-03-30T00:30:00Z", 0)
    ]
    autumn = nightly.poll(moment("2026-10-24T12:00", BERLIN), None)
    found: list[tuple[str, int]] = []
    cursor = autumn.cursor
    for quarter in range(4 * 24):
        polled = nightly.poll(moment("2026-10-25T00:00", BERLIN) + quarter * 900, cursor)
        cursor = polled.cursor
        found += came(polled)
    assert found == [("nightly:2026-10-25T00:30:00Z", 0)]


@pytest.mark.parametrize("first", ["2026-10-25T02:40", "2026-10-25T02:50"])
def test_a_start_within_the_hour_that_comes_twice_does_not_go_back(first: str):
    nightly = ScheduleTrigger("nightly", "45 2 * * *", BERLIN)
    second_time = datetime.fromisoformat(first).replace(tzinfo=ZoneInfo(BERLIN), fold=1).timestamp()
    started = nightly.poll(second_time, None)
    assert nightly.poll(second_time + 1800, started.cursor).events == ()
    assert nightly.due(second_time, second_time) > second_time + 3600


def test_a_clock_that_was_set_back_repeats_nothing():
    hourly = ScheduleTrigger("hourly", "0 * * * *", "UTC")
    first = hourly.poll(moment("2026-11-28T10:30"), None)
    second = hourly.poll(moment("2026-11-28T11:30"), first.cursor)
    back = hourly.poll(moment("2026-11-28T10:45"), second.cursor)
    assert back.events == ()
    assert hourly.poll(moment("2026-11-28T11:15"), back.cursor).events == ()


@pytest.mark.parametrize(("cron", "zone"), [("0 * * * *", "UTC"), ("0 3 * * *", BERLIN)])
def test_a_changed_line_or_zone_starts_anew_as_does_a_name_that_was_another_kind_s(cron: str, zone: str):
    old = ScheduleTrigger("t", "0 3 * * *", "UTC").poll(moment("2026-11-28T10:30"), None).cursor
    changed = ScheduleTrigger("t", cron, zone)
    assert changed.poll(moment("2026-12-28T10:30"), old).events == ()
    other = json.dumps({"kind": "registry", "version": "7"})
    assert changed.poll(moment("2026-12-28T10:30"), other).events == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("* * * *", "expected five fields"),
        ("* * * * * *", "expected five fields"),
        ("61 * * * *", "is no cron line: Bad minute"),
        ("0 0 30 2 *", "is no cron line"),
        ("every day at three o", "is no cron line"),
    ],
)
def test_a_line_that_cannot_be_used_is_told(line: str, said: str):
    with pytest.raises(TimesError, match=said):
        check_cron(line)


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../../etc/passwd", "Europe", "a\0b"])
def test_a_zone_that_is_none_is_told(zone: str):
    with pytest.raises(TimesError, match="is no time zone"):
        check_zone(zone)


def test_each_promotion_expires_once():
    serving: list[tuple[str, float] | None] = [None]
    monthly = ExpiryTrigger("old", 30 * DAY, lambda: serving[0])
    assert monthly.poll(0.0, None) == Polled((), None)
    serving[0] = ("7", 1000.0)
    assert monthly.poll(1000 + 30 * DAY - 1, None).events == ()
    now = 1000 + 31 * DAY
    expired = monthly.poll(now, None)
    assert expired.events == (
        Event(
            "old:7:1000.000",
            Happening.EXPIRED,
            "old",
            1000 + 30 * DAY,
            {"version": "7", "age": 31 * DAY},
        ),
    )
    assert monthly.poll(now + 1, expired.cursor) == Polled((), expired.cursor)
    serving[0] = ("7", now + 2)
    again = monthly.poll(now + 31 * DAY, expired.cursor)
    assert [event.key for event in again.events] == [f"old:7:{now + 2:.3f}"]


def test_an_age_is_looked_at_each_minute_and_more_often_only_if_it_is_shorter():
    def nobody() -> None:
        return None

    assert ExpiryTrigger("old", 30 * DAY, nobody).due(100.0, None) == 100.0
    assert ExpiryTrigger("old", 30 * DAY, nobody).due(100.0, 90.0) == 150.0
    assert ExpiryTrigger("old", 5.0, nobody).due(100.0, 99.0) == 104.0
    assert ExpiryTrigger("old", 30 * DAY, nobody).due(100.0, 1e9) == 100.0, "the clock was set back"
