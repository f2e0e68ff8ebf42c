"""When production may be changed, and when that changes next: by the clock of the place."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fairtrial.experiment.schedule import Schedule
from fairtrial.planning.calendar import Calendar

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = {"cron": "0 9 * * 1-5", "lasts": "8h"}


def at(text: str) -> float:
    """Seconds since the epoch of a time; in Berlin unless it says otherwise."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=BERLIN)).timestamp()


def calendar(*windows: dict[str, str], freezes: Any = (), zone: str = "Europe/Berlin") -> Calendar:
    said = {"windows": list(windows), "freezes": list(freezes)}
    given = {name: value for name, value in said.items() if value}
    return Calendar(Schedule.model_validate({"timeZone": zone, **given}))


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-27T08:59:59", False),
        ("2026-11-27T09:00", True),
        ("2026-11-27T16:59:59", True),
        ("2026-11-27T17:00", False),
        ("2026-11-28T12:00", False),
    ],
)
def test_a_window_is_open_from_its_first_moment_to_its_last(moment: str, is_open: bool):
    assert calendar(OFFICE).is_open(at(moment)) is is_open


def test_it_is_told_when_it_opens_and_when_it_closes_next():
    office = calendar(OFFICE)
    friday, morning = at("2026-11-27T18:00"), at("2026-11-30T09:00")
    assert office.opens(friday) == morning
    assert office.why_closed(friday) == "the next window of spec.schedule opens Mon 2026-11-30 09:00 CET"
    assert office.standing(friday) == f"closed: {office.why_closed(friday)}"
    assert office.opens(morning) == morning
    assert office.why_closed(morning) is None
    assert office.closes(morning) == at("2026-11-30T17:00")
    assert office.standing(morning) == "open until Mon 2026-11-30 17:00 CET"


def test_windows_that_overlap_are_one():
    longer_than_its_interval = {"cron": "0 * * * *", "lasts": "90m"}
    assert calendar(longer_than_its_interval).standing(at("2026-11-27T09:30")) == "open"
    shifts = calendar(OFFICE, {"cron": "0 16 * * 5", "lasts": "4h"})
    assert shifts.closes(at("2026-11-27T10:00")) == at("2026-11-27T20:00")
    assert shifts.closes(at("2026-11-26T10:00")) == at("2026-11-26T17:00")


def test_many_openings_that_never_end_are_told_as_open_at_once():
    assert calendar({"cron": "* * * * *", "lasts": "2000h"}).closes(at("2026-11-27T09:30")) is None


def test_a_freeze_closes_a_window_to_the_end_of_its_last_day():
    winter = calendar(OFFICE, freezes=[{"from": "2026-12-21", "to": "2027-01-04"}])
    assert winter.closes(at("2026-12-18T10:00")) == at("2026-12-18T17:00")
    assert not winter.is_open(at("2026-12-22T10:00"))
    assert winter.opens(at("2026-12-18T18:00")) == at("2027-01-05T09:00")
    within = calendar(OFFICE, freezes=[{"from": "2026-11-27T12:00", "to": "2026-11-27T13:30"}])
    assert within.closes(at("2026-11-27T10:00")) == at("2026-11-27T12:00")
    assert within.why_closed(at("2026-11-27T12:00")) == (
        "the freeze of spec.schedule ends Fri 2026-11-27 13:30 CET"
    )
    assert within.is_open(at("2026-11-27T13:30"))


def test_freezes_alone_leave_all_other_times_open():
    frozen = calendar(
        freezes=[{"from": "2026-12-20", "to": "2026-12-24"}, {"from": "2026-12-24", "to": "2026-12-26"}]
    )
    assert frozen.standing(at("2026-11-27T03:00")) == "open until Sun 2026-12-20 00:00 CET"
    assert frozen.opens(at("2026-12-21T12:00")) == at("2026-12-27T00:00")
    assert frozen.standing(at("2026-12-27T00:00")) == "open"


@pytest.mark.parametrize("day", ["2026-03-30", "2026-03-27", "2026-10-26", "2026-10-23"])
def test_a_window_opens_by_the_clock_of_the_place_on_both_sides_of_a_change(day: str):
    assert calendar(OFFICE).opens(at(f"{day}T01:00")) == at(f"{day}T09:00")


def test_the_night_in_which_the_clock_is_set_forward():
    nightly = calendar({"cron": "30 2 * * *", "lasts": "1h"})
    assert nightly.opens(at("2026-03-28T20:00")) == at("2026-03-29T03:00")  # there is no 02:30
    assert nightly.closes(at("2026-03-29T03:10")) == at("2026-03-29T04:00")
    over_it = calendar({"cron": "0 22 * * 6", "lasts": "8h"})
    assert over_it.closes(at("2026-03-28T23:00")) == at("2026-03-29T07:00")


def test_the_night_in_which_the_clock_is_set_back():
    nightly = calendar({"cron": "30 2 * * *", "lasts": "10m"})
    first, second = at("2026-10-25T02:30:00+02:00"), at("2026-10-25T02:30:00+01:00")
    assert nightly.opens(at("2026-10-24T20:00")) == first
    assert not nightly.is_open(second), "it comes once"
    over_it = calendar({"cron": "0 22 * * 6", "lasts": "8h"})
    assert over_it.closes(at("2026-10-24T23:00")) == at("2026-10-25T05:00")
    frozen = calendar(freezes=[{"from": "2026-10-25", "to": "2026-10-25"}])
    midnight = at("2026-10-25T00:00")
    assert frozen.closes(at("2026-10-24T12:00")) == midnight
    assert frozen.opens(midnight) - midnight == 25 * 3600


def test_utc_is_the_clock_unless_said():
    plain = Calendar(Schedule.model_validate({"windows": [OFFICE]}))
    assert plain.why_closed(at("2026-11-27T08:00+00:00")) == (
        "the next window of spec.schedule opens Fri 2026-11-27 09:00 UTC"
    )
