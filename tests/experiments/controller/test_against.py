"""Arms that already run, by URL: they are sent load and judged, and nothing of theirs is touched."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from experiments.runs import (
    FAIRTRIAL,
    assert_no_orphans,
    fairtrial,
    journal_of,
    observations,
    only_run,
    ready,
)
from fairtrial.experiment.elsewhere import at_addresses
from fairtrial.experiment.reading import load, parse
from fairtrial.journal.entries import Effect, Kind
from fairtrial.planning.plan import plan_of

_KILLED = Path(__file__).with_name("killed.py")


@contextmanager
def served(project: Path, *versions: str) -> Generator[dict[str, str]]:
    """Each version on a real MLServer of its own, by its base URL."""
    servers: list[subprocess.Popen[str]] = []
    try:
        for version in versions:
            command = [*FAIRTRIAL, "serve", f"models/{version}", "--name", "quick", "--output", "json"]
            servers.append(subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True))
        yield {version: ready(each)["url"] for version, each in zip(versions, servers, strict=True)}
    finally:
        for server in servers:
            server.send_signal(signal.SIGTERM)
        for server in servers:
            server.communicate(timeout=30)


def _effects(run: Path) -> list[Effect | None]:
    return [entry.effect for entry in journal_of(run) if entry.kind is Kind.DONE]


def test_arms_that_run_get_their_verdict_and_stay_as_they_are(quick_project: Path) -> None:
    with served(quick_project, "v1", "v2") as at:
        shutil.rmtree(quick_project / "models")  # nothing of it is needed
        against = [f"--against={arm}={url}" for arm, url in at.items()]
        done = fairtrial("run", *against, cwd=quick_project)
        run = only_run(quick_project)
        assert done.returncode == 0, done.stderr
        assert "nothing is promoted there, and nothing rolled back" in done.stderr
        assert _effects(run) == [Effect.DEPLOY, Effect.LOAD, Effect.STOP_LOAD, Effect.HOLD, Effect.CLOSE]
        seen = observations(run)
        assert seen.column("pair").null_count == 0
        assert set(seen.column("arm").to_pylist()) == {"v1", "v2"}
        assert_no_orphans(run)
        swapped = fairtrial("run", f"--against=v1={at['v2']}", f"--against=v2={at['v1']}", cwd=quick_project)
        assert swapped.returncode == 10, swapped.stderr
    verdict = json.loads((run / "verdict.json").read_text())
    assert verdict["verdict"] == "PROMOTE"
    assert fairtrial("replay", run, cwd=quick_project).returncode == 0


@pytest.mark.slow  # a minute: two servers, a run that is killed, resumed, replayed
def test_a_run_against_arms_is_resumed_with_several_workers(quick_project: Path) -> None:
    file = quick_project / "experiment.yaml"
    with served(quick_project, "v1", "v2") as at:
        text = file.read_text()
        for arm, url in at.items():
            text = text.replace(f"modelUri: models/{arm}", f"url: {url}/v2/models/quick")
        file.write_text(text)
        killed = subprocess.run(
            [sys.executable, str(_KILLED), "7", "after", "run", "experiment.yaml"],
            cwd=quick_project,
            capture_output=True,
            timeout=110,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL
        run = only_run(quick_project)
        resumed = fairtrial("resume", run, "--workers", "2", cwd=quick_project)
        assert resumed.returncode == 0, resumed.stderr
    ids = observations(run).column("id").to_pylist()
    assert len(set(ids)) == len(ids)
    assert Effect.PROMOTE not in _effects(run)
    assert fairtrial("replay", run, cwd=quick_project).returncode == 0


def test_an_arm_that_does_not_answer_ends_the_run_before_any_load(quick_project: Path) -> None:
    against = ("--against=v1=http://127.0.0.1:9", "--against=v2=http://127.0.0.1:9")
    done = fairtrial("run", *against, cwd=quick_project)
    assert done.returncode == 3
    assert "v1 at http://127.0.0.1:9 does not answer" in done.stderr
    assert Effect.LOAD not in _effects(only_run(quick_project))


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        (["--against=v1=http://a"], "say the address of v2, too"),
        (["--against=v3=http://a"], "no arm is called v3; there are v1, v2"),
        (["--against=v1"], "give ARM=URL"),
        (["--against=v1=http://a", "--against=v1=http://b"], "v1 has two addresses"),
        (["--against=v1=http://me:secret@a", "--against=v2=http://a"], "credentials are headers"),
        (
            ["--against=v1=http://a", "--against=v2=http://a", "--keep-serving"],
            "--keep-serving: the arms run",
        ),
    ],
)
def test_addresses_that_cannot_be_meant_are_told(quick_project: Path, said: list[str], wrong: str) -> None:
    done = fairtrial("run", *said, cwd=quick_project)
    assert done.returncode == 2
    assert wrong in done.stderr
    assert "secret" not in done.stderr
    assert not (quick_project / "runs").exists()


def test_the_plan_of_arms_that_run_deploys_nothing_and_sends_pairs_alone(quick_project: Path) -> None:
    experiment = at_addresses(
        load(quick_project / "experiment.yaml"), {"v1": "https://prod.example", "v2": "http://staging:8080"}
    )
    plan = plan_of(experiment)
    assert plan.elsewhere
    assert len(plan.steps) == 1
    assert plan.experiment.spec.traffic.driven.split_share == 0
    assert plan.claims.metrics[0].paired
    text = (quick_project / "experiment.yaml").read_text()
    for arm in ("v1", "v2"):
        text = text.replace(f"modelUri: models/{arm}", f"url: http://{arm}:8080")
    (quick_project / "experiment.yaml").write_text(text)
    told = fairtrial("plan", cwd=quick_project).stdout
    assert "deploys nothing\n  v1           runs at http://v1:8080" in told
    assert fairtrial("render", cwd=quick_project).returncode == 2


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (("url: http://b", "modelUri: models/v2"), "of the arms either all run already, at a url, or none"),
        (("url: http://b", "url: http://b, modelUri: models/v2"), "say one of the two"),
        (("url: http://b", "url: http://b, replicas: 2"), "whoever runs the arm at its url has set this"),
        (("url: http://b", "url: 'http://b?key=1'"), "credentials are headers"),
        (("maxDuration: 20s", "paired: false"), "only replayed pairs reach both"),
    ],
)
def test_what_a_file_cannot_say_of_arms_that_run_is_told(
    quick_project: Path, change: tuple[str, str], wrong: str
) -> None:
    text = (quick_project / "experiment.yaml").read_text()
    text = text.replace("modelUri: models/v1", "url: http://a").replace(
        "modelUri: models/v2", "url: http://b"
    )
    assert change[0] in text
    with pytest.raises(Exception, match=wrong):
        parse(text.replace(*change).encode(), source="e.yaml", folder=quick_project)
