"""A run that is taken up again sends what it began with, or says why it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from experiments.clocks import StoppedClock
from fairtrial.controller.inputs import check_sent_from, digests_of
from fairtrial.controller.session import recorded_plan
from fairtrial.errors import UsageError
from fairtrial.experiment.reading import parse
from fairtrial.journal.entries import Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.store import Journal

_FILE = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
spec:
  baseline: {name: v1, modelUri: s3://models/v1, format: sklearn}
  candidates: [{name: v2, modelUri: s3://models/v2, format: sklearn}]
  traffic: {loadTest: {LOAD}}
  metrics: [{name: errorRate, maxRegression: 2pp}]
"""


class Begun:
    """A run that was begun with these files, and cut off."""

    def __init__(self, folder: Path, load: str) -> None:
        self.home = folder
        text = _FILE.replace("LOAD", load).encode()
        self.experiment = parse(text, source="e.yaml", folder=folder)
        self.folder = RunFolder(folder / "run")
        self.folder.path.mkdir()
        self.folder.experiment.write_bytes(text)
        self.started = {"folder": str(folder), "models": [], **digests_of(self.experiment)}

    def resume(self) -> None:
        journal = Journal.create(self.folder.journal, StoppedClock())
        try:
            journal.append(Kind.STARTED, self.started)
            plan = recorded_plan(self.folder, journal)
        finally:
            journal.close()
        check_sent_from(plan.experiment, self.started, self.folder.id)


def _write(folder: Path, name: str, lines: int) -> None:
    (folder / name).write_text("x\n" + "".join(f"{n / 100}\n" for n in range(lines)), encoding="utf-8")


@pytest.fixture
def begun(tmp_path: Path) -> Callable[[str], Begun]:
    for name in ("rows.csv", "trace.csv"):
        _write(tmp_path, name, 2000)
    (tmp_path / "users.py").write_text("", encoding="utf-8")
    return lambda load: Begun(tmp_path, load)


@pytest.mark.parametrize(
    ("load", "file"),
    [
        ("requests: {data: rows.csv}", "rows.csv"),
        ("requests: {data: rows.csv}, arrivals: {trace: {file: trace.csv, time: x}}", "trace.csv"),
        ("locustfile: users.py", "users.py"),
    ],
)
def test_files_that_have_changed_are_not_sent_on(begun: Callable[[str], Begun], load: str, file: str) -> None:
    run = begun(load)
    run.resume()
    _write(run.home, file, 2001)
    run.folder.journal.unlink()
    with pytest.raises(UsageError, match=rf"{file} has changed since run"):
        run.resume()


def test_rows_that_are_gone_are_not_replaced_by_made_up_ones(tmp_path: Path) -> None:
    rows = tmp_path / "holdout.parquet"
    pq.write_table(pa.table({"x": [1.0] * 2000}), rows)
    run = Begun(tmp_path, "arrivalRate: 100/s")
    rows.unlink()
    with pytest.raises(UsageError, match="the data that run run began with is gone"):
        run.resume()


def test_made_up_requests_are_not_replaced_by_rows_that_came_meanwhile(tmp_path: Path) -> None:
    run = Begun(tmp_path, "arrivalRate: 100/s")
    pq.write_table(pa.table({"x": [1.0] * 2000}), tmp_path / "holdout.parquet")
    with pytest.raises(UsageError, match="was not there when run run began"):
        run.resume()
