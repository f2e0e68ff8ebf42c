"""A candidate loaded alone, against what the released version answered in an earlier run."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from experiments.clocks import StoppedClock
from experiments.runs import assert_no_orphans, fairtrial, journal_of, observations, only_run
from experiments.streams import Load
from fairtrial.controller.reference import what
from fairtrial.controller.stored_runs import read_stored
from fairtrial.errors import UsageError
from fairtrial.evidence.arrow import Tabular
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.reading import parse
from fairtrial.journal.entries import Effect, Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.store import Journal
from fairtrial.planning.plan import plan_of
from fairtrial.versions import versions
from fairtrial_loadtests.parts import part_path

_KILLED = Path(__file__).with_name("killed.py")
_FILE = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
spec:
  baseline: {name: v1, modelUri: s3://models/v1, format: sklearn}
  candidates: [{name: v2, modelUri: s3://models/v2, format: sklearn}]
  traffic: {loadTest: {requests: {data: rows.csv}}}
  metrics: [{name: accuracy}, {name: latency, quantile: 0.9, maxRegression: 10%}]
"""


# ---- whole runs


@pytest.mark.timeout(240)
def test_a_recorded_version_is_the_baseline_of_the_next_commit(quick_project: Path, tmp_path: Path) -> None:
    file = quick_project / "experiment.yaml"
    file.write_text(file.read_text().replace("maxDuration: 20s", "maxDuration: 6s"))
    recorded = fairtrial("run", "--record", "v1", "--runs-dir", tmp_path / "artifact", cwd=quick_project)
    assert recorded.returncode == 0, recorded.stderr
    shutil.rmtree(quick_project / "models/v1")  # it is not deployed a second time
    planned = fairtrial("plan", "--baseline-run", tmp_path / "artifact", cwd=quick_project)
    assert planned.returncode == 0, planned.stderr
    assert re.search(r"v1 +is not deployed: \S+ of v1 in the stored run ", planned.stdout)
    assert "models/v1" not in planned.stdout.partition("sends")[0]
    done = fairtrial("run", "--baseline-run", tmp_path / "artifact", cwd=quick_project)
    assert done.returncode == 0, done.stderr
    run = only_run(quick_project)
    assert_no_orphans(run)
    verdict = json.loads((run / "verdict.json").read_text())
    assert verdict["verdict"] == "PROMOTE"
    assert verdict["metrics"][0]["n"]["pairs"] > 0
    assert set(observations(run).column("arm").to_pylist()) == {"v2"}
    outcome = next(e.body["outcome"] for e in journal_of(run) if e.effect is Effect.PROMOTE and e.body)
    assert outcome == "v2, which alone was deployed, is taken in place of v1"
    shutil.rmtree(tmp_path / "artifact")
    assert fairtrial("replay", run, cwd=quick_project).returncode == 0
    explained = fairtrial("explain", run, cwd=quick_project)
    assert explained.returncode == 0, explained.stderr


@pytest.mark.slow  # two minutes: a run that is recorded, one that is killed, resumed, replayed
def test_a_killed_run_against_a_stored_one_comes_to_the_verdict_that_it_would_have(
    quick_project: Path, tmp_path: Path
) -> None:
    fairtrial("run", "--record", "v1", "--runs-dir", tmp_path / "artifact", cwd=quick_project)
    killed = subprocess.run(
        [sys.executable, str(_KILLED), "9", "after", "run", "--baseline-run", str(tmp_path / "artifact")],
        cwd=quick_project,
        capture_output=True,
        timeout=110,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    run = only_run(quick_project)
    resumed = fairtrial("resume", run, cwd=quick_project)
    assert resumed.returncode == 0, resumed.stderr
    timed = [entry.body["part"] for entry in journal_of(run) if entry.kind is Kind.TIMED]
    assert timed == list(range(len(timed)))
    assert fairtrial("replay", run, cwd=quick_project).returncode == 0


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        (["--baseline-run", "nowhere"], "there is no such run, file or archive"),
        (["--baseline-arm", "v1"], "--baseline-arm is of a --baseline-run"),
        (["--record", "v9"], "no arm is called so; there are v1, v2"),
        (["--record", "v1", "--baseline-run", "x"], "say one of them"),
        (["--record", "v1", "--budget", "60s"], "loads one arm to the end"),
        (["--baseline-run", "x", "--backend", "kubernetes"], "for this machine"),
    ],
)
def test_what_cannot_be_meant_is_told(quick_project: Path, said: list[str], wrong: str) -> None:
    done = fairtrial("run", *said, cwd=quick_project)
    assert done.returncode == 2
    assert wrong in done.stderr
    assert not (quick_project / "runs").exists()


# ---- what is read of a stored run


class Home:
    """An experiment, and runs of it that were stored."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "rows.csv").write_text("x\n" + "1\n" * 2000, encoding="utf-8")
        self.data = hashlib.sha256((folder / "rows.csv").read_bytes()).hexdigest()

    def experiment(self, text: str = _FILE) -> Experiment:
        return parse(text.encode(), source="e.yaml", folder=self.folder)

    def store(
        self,
        name: str,
        table: Tabular,
        verdict: dict[str, Any] | None = None,
        text: str = _FILE,
        **started: Any,
    ) -> Path:
        run = RunFolder(self.folder / "stored" / name)
        run.observations.mkdir(parents=True)
        run.experiment.write_text(text, encoding="utf-8")
        pq.write_table(table, part_path(run.observations, 0))
        journal = Journal.create(run.journal, StoppedClock())
        journal.append(Kind.STARTED, {"data": self.data, "reference": what()} | started)
        for part in range(30):
            journal.append(Kind.TIMED, {"part": part, "seconds": 0.001})
        if verdict is not None:
            journal.append(Kind.VERDICT, verdict)
        journal.close()
        return run.path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def only(table: Tabular, arm: str) -> Tabular:
    return table.filter(pa.array([each == arm for each in table.column("arm").to_pylist()]))


def test_an_arm_that_was_recorded_alone_is_paired_and_its_latencies_are_for_the_reference(home: Home) -> None:
    run = home.store("r1", only(Load(split=0.0).table(), "v2"), recorded="v2")
    stored, answers = read_stored(run, None, home.experiment(), home.data)
    assert (stored.run, stored.arm, stored.paired) == ("r1", "v2", True)
    assert (stored.incomparable, stored.weakness) == (None, None)
    assert stored.reference == (0.001,) * 30
    assert set(answers.column("arm").to_pylist()) == {"v1"}
    assert answers.column("pair").to_pylist() == sorted(answers.column("pair").to_pylist())
    plan = plan_of(home.experiment(), stored=stored)
    assert [predictor.name for predictor in plan.deployment.spec.predictors] == ["v2"]
    assert plan.claims.metrics[0].paired


@pytest.mark.parametrize(("verdict", "arm"), [("PROMOTE", "v2"), ("ROLLBACK", "v1"), (None, "v1")])
def test_of_a_run_of_two_arms_the_one_that_serves_is_taken_and_its_latencies_are_not(
    home: Home, verdict: str | None, arm: str
) -> None:
    body = {"verdict": verdict, "candidate": "v2"} if verdict else None
    run = home.store("r2", Load().table(), body)
    stored, answers = read_stored(run, None, home.experiment(), home.data)
    assert (stored.arm, stored.paired) == (arm, False)
    assert stored.incomparable is not None
    assert "several arms at once" in stored.incomparable
    assert (stored.weakness is not None) == (verdict == "PROMOTE")
    straight = [segment for segment in Load().table().column("segment").to_pylist() if segment is None]
    assert answers.num_rows == len(straight) / 2
    assert not plan_of(home.experiment(), stored=stored).claims.metrics[0].paired
    assert read_stored(run, "v2", home.experiment(), home.data)[0].arm == "v2"


@pytest.mark.parametrize(
    ("change", "started", "why"),
    [
        (
            ("loadTest: {", "loadTest: {arrivalRate: 50/s, "),
            {},
            "its load was another one (arrivalRate differs)",
        ),
        (("metrics:", "analysis: {seed: 7}\n  metrics:"), {}, "its load was another one (seed differs)"),
        (("", ""), {"reference": "1 CPython 2.7"}, "the reference was another one"),
    ],
)
def test_what_was_recorded_otherwise_is_not_compared_on_latency(
    home: Home, change: tuple[str, str], started: dict[str, str], why: str
) -> None:
    text = _FILE.replace(*change)
    run = home.store("r3", only(Load(split=0.0).table(), "v1"), None, text, recorded="v1", **started)
    stored, _ = read_stored(run, None, home.experiment(), home.data)
    assert stored.incomparable is not None
    assert why in stored.incomparable
    assert stored.paired == bool(started)


def test_an_archive_a_folder_above_and_bare_observations_are_read_too(home: Home) -> None:
    run = home.store("r4", only(Load(split=0.0).table(), "v1"), recorded="v1")
    archive = Path(shutil.make_archive(str(home.folder / "artifact"), "zip", home.folder / "stored"))
    tar = Path(shutil.make_archive(str(home.folder / "artifact"), "gztar", home.folder / "stored"))
    for place in (run.parent, archive, tar):
        assert read_stored(place, None, home.experiment(), home.data)[0].paired
    for place in (run / "observations", part_path(run / "observations", 0)):
        stored, _ = read_stored(place, None, home.experiment(), home.data)
        assert not stored.paired
        assert stored.incomparable is not None


@pytest.mark.parametrize("said", ["exclude: [x]", "unit: user"])
def test_other_columns_are_another_request_and_why_nothing_is_paired_is_told(home: Home, said: str) -> None:
    text = _FILE.replace("data: rows.csv", f"data: rows.csv, {said}")
    run = home.store("columns", only(Load(split=0.0).table(), "v1"), None, text, recorded="v1")
    stored, _ = read_stored(run, None, home.experiment(), home.data)
    differs = f"load was another one (requests.{said.partition(':')[0]} differs)"
    assert not stored.paired
    assert stored.incomparable == f"its {differs}"
    claims = plan_of(home.experiment(), stored=stored).claims
    assert claims.weaknesses == (
        f"Scores are not paired by row, since the stored run's {differs}: a small difference takes longer "
        "to show.",
    )


@pytest.mark.parametrize(("then", "paired"), [("0.0.1", False), (versions()["numpy"], True)])
def test_another_version_may_have_drawn_other_rows(home: Home, then: str, paired: bool) -> None:
    table = only(Load(split=0.0).table(), "v1")
    run = home.store("old", table, recorded="v1", versions={"numpy": then})
    stored, _ = read_stored(run, None, home.experiment(), home.data)
    assert stored.paired == paired
    told = "the stored run was by another version of numpy, which may have sent other rows"
    assert stored.unpaired == (None if paired else told)


def test_scores_by_other_answers_are_not_compared(home: Home) -> None:
    text = _FILE.replace("data: rows.csv", "data: rows.csv, target: x")
    run = home.store("scored", only(Load(split=0.0).table(), "v1"), None, text, recorded="v1")
    with pytest.raises(UsageError, match="was scored by the column x, and this run is by target"):
        read_stored(run, None, home.experiment(), home.data)


@pytest.mark.parametrize(
    ("load", "seconds", "why"),
    [
        ("arrivals: {spike: {base: 50/s, peak: 500/s, at: 90s, for: 10s}}, ", 30, "the end of the peak"),
        (
            "arrivals: {stepped: [{rate: 9/s, for: 60s}, {rate: 90/s, for: 60s}]}, ",
            30,
            "the first look at the last stage",
        ),
    ],
)
def test_a_stored_run_that_never_came_to_the_peak_is_no_baseline(
    home: Home, load: str, seconds: float, why: str
) -> None:
    text = _FILE.replace("loadTest: {", f"loadTest: {{{load}")
    short = only(Load(split=0.0, seconds=seconds).table(), "v1")
    run = home.store("short", short, None, text, recorded="v1")
    with pytest.raises(UsageError, match=f"short leaves (30|29.9)s of load, and {why}"):
        read_stored(run, None, home.experiment(text), home.data)


def test_a_load_whose_peak_comes_last_was_recorded_whole_when_its_last_arrival_was(home: Home) -> None:
    peak = "arrivals: {spike: {base: 50/s, peak: 500/s, at: 50s, for: 10s}}, maxDuration: 1m, "
    text = _FILE.replace("loadTest: {", f"loadTest: {{{peak}")
    run = home.store("whole", only(Load(split=0.0, seconds=59.99).table(), "v1"), None, text, recorded="v1")
    assert read_stored(run, None, home.experiment(text), home.data)[0].paired


def test_what_cannot_be_a_baseline_is_told(home: Home, tmp_path: Path) -> None:
    run = home.store("r5", only(Load(split=0.0).table(), "v1"), recorded="v1")
    with pytest.raises(UsageError, match="was sent other rows"):
        read_stored(run, None, home.experiment(), "another digest")
    with pytest.raises(UsageError, match="has no arm v3; say --baseline-arm of v1"):
        read_stored(run, "v3", home.experiment(), home.data)
    home.store("r6", Load(split=0.0).table(), recorded="v1")
    with pytest.raises(UsageError, match=r"has several runs \(r5, r6\)"):
        read_stored(run.parent, None, home.experiment(), home.data)
    broken = tmp_path / "artifact.zip"
    broken.write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(UsageError, match="cannot be unpacked"):
        read_stored(broken, None, home.experiment(), home.data)
    narrow = _FILE.replace("maxRegression: 10%", "maxRegression: 2%")
    stored, _ = read_stored(run, None, home.experiment(), home.data)
    with pytest.raises(UsageError, match="a guardrail whose maxRegression is 5% or more"):
        plan_of(home.experiment(narrow), stored=stored)
