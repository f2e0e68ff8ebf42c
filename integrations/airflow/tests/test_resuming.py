"""What of a run's options a retry says again, and when it may begin another run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def test_a_retry_says_again_what_resume_takes():
    from fairtrial_airflow.resuming import resumable

    said = ["--budget", "60s", "--workers", "2", "--backend=kubernetes", "-n", "shop", "--port=8080"]
    said += ["--against", "v1=https://host", "--keep-serving", "--baseline-run", "runs/old", "--bind"]
    assert [*resumable(said)] == ["--workers", "2", "--port=8080", "--keep-serving", "--bind"]


def test_the_options_are_those_that_run_and_resume_share(command: Path):
    from fairtrial_airflow.resuming import FLAGS, VALUES

    def options(verb: str) -> dict[str, bool]:
        """By name, whether it takes a value."""
        told = subprocess.run([command, verb, "--help"], capture_output=True, text=True, check=True).stdout
        found = re.findall(r"^  (?:-\w, )?(--[\w-]+)( [A-Z\[]\S*)?", told, re.MULTILINE)
        return {name: bool(value) for name, value in found}

    taken = options("resume")
    # These say of `resume` that it is to go on with an Experiment; the run knows its cluster.
    shared = taken.keys() & options("run").keys() - {"--namespace", "--context", "--kubeconfig"}
    shared -= {"--output", "--help"}
    assert shared == FLAGS | VALUES
    assert all(taken[name] for name in VALUES)
    assert not any(taken[name] for name in FLAGS)


def test_only_a_run_that_says_that_it_is_over_is_followed_by_another(command: Path, tmp_path: Path):
    from contexts import context
    from fairtrial_airflow.operators.run import FairtrialRunOperator

    operator = FairtrialRunOperator(
        task_id="trial", experiment="experiment.yaml", cwd=str(tmp_path), executable=str(command)
    )
    runs = operator._runs(context())
    dead = runs / "wine-20261128-120640-3f9a"
    dead.mkdir(parents=True)
    made = "import sys; from pathlib import Path; from fairtrial.clock import SystemClock; "
    made += "from fairtrial.journal.store import Journal; Journal.create(Path(sys.argv[1]), SystemClock())"
    subprocess.run([command.with_name("python"), "-c", made, dead / "journal.db"], check=True)
    assert operator._taken_up(runs) is None, "it died before it began"
    operator.arguments = ["--workers", "none"]
    finished = operator._taken_up(runs)
    assert finished is not None
    assert finished.code == 2
