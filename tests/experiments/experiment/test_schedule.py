"""A schedule that cannot be meant is a mistake of the file, at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from fairtrial.experiment.problems import ExperimentFileError
from fairtrial.experiment.reading import parse

FILE = """\
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
spec:
  baseline: {modelUri: models/v1}
  candidates: [{modelUri: models/v2}]
  metrics: [{name: accuracy}]
  schedule: SCHEDULE
"""


def read(schedule: str) -> list[str]:
    """The mistakes, as `line:column path: message`."""
    try:
        parse(FILE.replace("SCHEDULE", schedule).encode(), source="e.yaml", folder=Path(), check_files=False)
    except ExperimentFileError as error:
        return [str(problem).removeprefix("e.yaml:") for problem in error.problems]
    return []


@pytest.mark.parametrize(
    "schedule",
    [
        '{windows: [{cron: "0 9 * * 1-5", lasts: 8h}]}',
        '{windows: [{cron: "0 * * * *", lasts: 30h}]}',
        "{timeZone: Europe/Berlin, freezes: [{from: 2026-12-20, to: 2027-01-04}]}",
        "{freezes: [{from: 2026-12-20, to: 2026-12-20}]}",
        "{freezes: [{from: 2026-12-20T18:00, to: 2026-12-20}, {from: 2026-12-24, to: 2026-12-24T12:01}]}",
    ],
)
def test_what_can_be_meant_is_taken(schedule: str):
    assert read(schedule) == []


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("{}", "7:13 spec.schedule: say windows, or freezes, or both"),
        ("{windows: []}", "7:23 spec.schedule.windows: "),
        (
            '{windows: [{cron: "0 9 30 2 *", lasts: 8h}]}',
            '7:31 spec.schedule.windows.0.cron: "0 9 30 2 *" is no cron line: Bad day-of-month',
        ),
        (
            '{windows: [{cron: "0 9 * *", lasts: 8h}]}',
            "7:31 spec.schedule.windows.0.cron: expected five fields",
        ),
        (
            '{windows: [{cron: "0 9 * * *", lasts: 0s}]}',
            "7:51 spec.schedule.windows.0.lasts: expected more than 0s",
        ),
        (
            '{windows: [{cron: "0 9 * * *", lasts: 99999h}]}',
            "7:51 spec.schedule.windows.0.lasts: expected a duration of at most a year",
        ),
        ('{windows: [{cron: "0 9 * * *"}]}', "7:24 spec.schedule.windows.0.lasts: required, such as 8h"),
        (
            "{timeZone: Europe/Atlantis, freezes: [{from: 2026-12-20, to: 2027-01-04}]}",
            '7:24 spec.schedule.timeZone: "Europe/Atlantis" is no time zone',
        ),
        (
            "{freezes: [{from: 2027-01-04, to: 2026-12-20}]}",
            "7:47 spec.schedule.freezes.0.to: not after the freeze begins, 2027-01-04",
        ),
        (
            "{freezes: [{from: 2026-12-20T18:00, to: 2026-12-20T18:00}]}",
            "7:53 spec.schedule.freezes.0.to: not after the freeze begins",
        ),
        (
            "{freezes: [{from: 2026-02-30, to: 2026-12-20}]}",
            '7:31 spec.schedule.freezes.0.from: "2026-02-30" is no day',
        ),
        (
            "{freezes: [{from: Christmas, to: 2026-12-20}]}",
            "7:31 spec.schedule.freezes.0.from: expected a day such as 2026-12-20",
        ),
        (
            "{freezes: [{from: 20261220, to: 2026-12-20}]}",
            "7:31 spec.schedule.freezes.0.from: expected a day",
        ),
    ],
)
def test_what_cannot_is_told_with_line_and_column(schedule: str, said: str):
    found = read(schedule)
    assert len(found) == 1, found
    assert found[0].startswith(said)
