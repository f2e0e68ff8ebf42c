"""`fairtrial demo`, and every verb that can be asked of the run it leaves."""

from __future__ import annotations

import json
import re

from e2e.conftest import Demo
from experiments.runs import assert_no_orphans, fairtrial, observations
from fairtrial_loadtests.observation import SCHEMA


def test_the_demo_ends_in_a_promotion(demo: Demo):
    assert demo.result.returncode == 0, demo.result.stderr
    assert "PROMOTE" in demo.result.stdout
    assert_no_orphans(demo.run)


def test_its_folder_is_the_users_to_keep_and_edit(demo: Demo):
    there = {path.name for path in demo.project.iterdir()}
    assert {"experiment.yaml", "train.py", "holdout.parquet", "models", "README.md"} <= there


def test_its_verdict_gives_reasons_with_figures(demo: Demo):
    document = json.loads((demo.run / "verdict.json").read_text())
    assert document["verdict"] == "PROMOTE"
    assert all(re.search(r"\d", reason) for reason in document["reasons"][1:])
    accuracy = next(metric for metric in document["metrics"] if metric["name"] == "accuracy")
    assert accuracy["estimate"]["candidate"] > accuracy["estimate"]["baseline"] + 0.01
    assert {"fairtrial", "rules", "numpy"} <= document["versions"].keys()


def test_its_report_is_one_page_that_needs_no_network(demo: Demo):
    page = (demo.run / "report.html").read_text()
    assert "PROMOTE" in page
    assert not re.search(r'(src|href)="https?:', page)
    assert len(page) < 1_000_000


def test_its_observations_are_all_there_as_documented(demo: Demo):
    seen = observations(demo.run)
    load = json.loads((demo.run / "observations" / "load.json").read_text())
    assert seen.schema.remove_metadata() == SCHEMA
    assert seen.num_rows == load["sent"] + load["dropped"]
    assert set(seen.column("segment").to_pylist()) >= {None, "step-1"}


def test_a_replay_comes_to_the_same_verdict_at_every_look(demo: Demo):
    replayed = fairtrial("replay", demo.run, "--output", "json", cwd=demo.cwd)
    assert replayed.returncode == 0, replayed.stdout
    assert json.loads(replayed.stdout)["same"] is True


def test_judging_its_observations_gives_the_verdict_of_the_run(demo: Demo):
    judged = fairtrial(
        "judge",
        demo.project / "experiment.yaml",
        "--data",
        demo.run / "observations",
        "--output",
        "json",
        cwd=demo.cwd,
    )
    assert judged.returncode == 0, judged.stderr
    recorded = json.loads((demo.run / "verdict.json").read_text())
    assert json.loads(judged.stdout)["metrics"] == recorded["metrics"]


def test_status_finds_the_newest_run_by_itself(demo: Demo):
    status = fairtrial("status", "--output", "json", cwd=demo.cwd)
    document = json.loads(status.stdout)
    assert document["run"] == demo.run.name
    assert (document["state"], document["verdict"]) == ("ended", "PROMOTE")
    assert [each["effect"] for each in document["effects"]][-1] == "close"


def test_explain_says_why_and_where_the_candidate_loses(demo: Demo):
    explained = fairtrial("explain", cwd=demo.cwd)
    assert explained.returncode == 0, explained.stderr
    assert "accuracy" in explained.stdout
    assert "Rows on which v2 loses" in explained.stdout


def test_a_finished_run_cannot_be_aborted(demo: Demo):
    aborted = fairtrial("abort", cwd=demo.cwd)
    assert aborted.returncode == 2
    assert "has ended already" in aborted.stderr


def test_resuming_a_finished_run_changes_nothing(demo: Demo):
    before = (demo.run / "verdict.json").read_bytes()
    resumed = fairtrial("resume", cwd=demo.cwd)
    assert resumed.returncode == 0, resumed.stderr
    assert (demo.run / "verdict.json").read_bytes() == before


def test_the_report_can_be_written_again_and_is_the_same(demo: Demo):
    again = fairtrial("report", "--out", demo.cwd / "again.html", cwd=demo.cwd)
    assert again.returncode == 0, again.stderr
    assert "PROMOTE" in (demo.cwd / "again.html").read_text()


def test_a_second_demo_runs_the_folder_that_is_there(demo: Demo):
    edited = demo.project / "experiment.yaml"
    text = edited.read_text()
    edited.write_text("kind: Nonsense\n" + text)
    try:
        second = fairtrial("demo", cwd=demo.cwd)
    finally:
        edited.write_text(text)
    assert second.returncode == 2
    assert "experiment.yaml:" in second.stderr
