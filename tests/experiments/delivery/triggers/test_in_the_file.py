"""What cannot be a trigger is a mistake of the file, at its place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fairtrial.delivery.pipeline.reading import load
from fairtrial.experiment.problems import ExperimentFileError


def mistakes(folder: Path, trigger: str) -> list[str]:
    file = folder / "pipeline.yaml"
    (folder / "experiment.yaml").write_text("kind: Experiment\n")
    file.write_text(
        "apiVersion: fairtrial.dev/v1alpha1\nkind: Pipeline\nspec:\n"
        "  registry: {mlflow: {model: wine, alias: champion}}\n  listen: {port: 0}\n"
        f"  triggers:\n    - {{name: t, do: [tryNext], {trigger}}}\n"
    )
    try:
        load(file)
    except ExperimentFileError as error:
        return str(error).replace(str(file), "FILE").splitlines()
    return []


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        (
            'schedule: {cron: "61 3 * * 1"}',
            'FILE:7:49 spec.triggers.0.schedule.cron: "61 3 * * 1" is no cron line: Bad minute',
        ),
        (
            'schedule: {cron: "0 3 * * 1", timeZone: Europe/Atlantis}',
            'FILE:7:72 spec.triggers.0.schedule.timeZone: "Europe/Atlantis" is no time zone',
        ),
        (
            'alert: {match: {model: "/(wine/"}}',
            "FILE:7:55 spec.triggers.0.alert.match.model: is no regular expression: missing )",
        ),
    ],
)
def test_it_is_told_with_line_and_column(tmp_path: Path, trigger: str, said: str):
    (found,) = mistakes(tmp_path, trigger)
    assert found.startswith(said)


def test_what_can_be_used_is_taken(tmp_path: Path):
    assert mistakes(tmp_path, 'schedule: {cron: "0 3 * * 1", timeZone: Europe/Berlin}') == []
    assert mistakes(tmp_path, 'alert: {match: {model: "/wine|beer/"}}') == []


def test_a_schedule_says_what_it_needs_where_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "cronsim", None)
    (found,) = mistakes(tmp_path, 'schedule: {cron: "0 3 * * 1"}')
    assert found.endswith("a schedule needs cronsim, which is not installed: pip install 'fairtrial[watch]'")
    assert mistakes(tmp_path, "expiry: {timeToLive: 30d}") == []
