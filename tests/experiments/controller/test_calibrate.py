"""`fairtrial calibrate` on a real model and load."""

import json
from pathlib import Path

from experiments.runs import fairtrial


def test_a_setup_is_calibrated_by_a_run_of_its_baseline_against_itself(quick_project: Path):
    done = fairtrial("calibrate", "--replays", "40", "--output", "json", cwd=quick_project)
    assert done.returncode in (0, 11), done.stderr
    document = json.loads(done.stdout)
    assert [claim["claim"] for claim in document["claims"]] == ["accuracy is worse", "accuracy is met"]
    # A model answers the same row the same way: two copies never differ in their scores.
    assert [claim["times"] for claim in document["claims"]] == [0, 0]
    assert document["falseRollback"]["replays"] == 40
    assert 15 < document["seconds"] <= 20
    assert "replays: 40 of 40" in done.stderr
    assert not (quick_project / "runs").exists(), "an A/A run leaves no run behind"


def test_a_deployment_by_hand_cannot_be_copied(quick_project: Path):
    file = quick_project / "experiment.yaml"
    text = file.read_text().replace(", modelUri: models/v1", "").replace(", modelUri: models/v2", "")
    file.write_text(text.replace("spec:\n", "spec:\n  deployment: seldon.yaml\n", 1))
    (quick_project / "seldon.yaml").write_text("apiVersion: machinelearning.seldon.io/v1\n")
    done = fairtrial("calibrate", cwd=quick_project)
    assert done.returncode == 2
    assert "say its modelUri rather than spec.deployment" in done.stderr
