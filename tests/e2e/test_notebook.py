"""The same from Python."""

from __future__ import annotations

import fairtrial
from e2e.conftest import Demo
from fairtrial.api import Run


def test_an_experiment_is_loaded_and_planned(demo: Demo):
    trial = fairtrial.load(demo.project / "experiment.yaml")
    assert (trial.plan().baseline, trial.plan().candidates) == ("v1", ("v2",))


def test_a_run_shows_its_verdict_its_evidence_and_its_report(demo: Demo):
    run = Run(demo.run)
    assert run.verdict == "PROMOTE"
    assert "PROMOTE" in repr(run)
    assert {"arm", "time", "latency", "status", "score"} <= set(run.evidence.columns)
    assert run._repr_html_().startswith("<iframe srcdoc=")
