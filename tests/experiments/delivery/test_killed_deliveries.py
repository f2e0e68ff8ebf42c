"""A delivery is killed with SIGKILL at each of its steps, again and again, and comes to the same end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from experiments.delivery.conftest import Models
from experiments.runs import assert_no_orphans, fairtrial
from servers.image.conftest import Running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STEPS = ("choose", "fetch", "examine", "pack", "trial", "report", "intend", "promote", "close")
PIPELINE = """
apiVersion: fairtrial.dev/v1alpha1
kind: Pipeline
metadata: {name: wine}
spec:
  registry: {mlflow: {model: MODEL, trackingUri: "URL"}}
  image: {push: "REGISTRY/killed/wine", artifact: true, insecure: true}
"""
_KILLED = Path(__file__).with_name("killed.py")


def killed(step: str, when: str, project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(_KILLED), step, when, "watch", "--once"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def history(project: Path) -> list[dict]:
    return json.loads(fairtrial("history", "--output", "json", cwd=project).stdout)["entries"]


def test_one_promotion_one_image_and_one_entry_however_often_it_dies(
    models: Models, project: Path, registry: Running
):
    text = PIPELINE.replace("MODEL", models.name).replace("URL", models.url)
    (project / "pipeline.yaml").write_text(text.replace("REGISTRY", registry.address))
    worse, better = models.add("v1"), models.add("v2")
    models.give("champion", worse)
    adopted = fairtrial("watch", "--once", cwd=project)
    assert adopted.returncode == 0, adopted.stderr
    models.give("challenger", better)
    for step in STEPS:
        for when in ("unwritten", "written"):
            died = killed(step, when, project)
            assert died.returncode == -signal.SIGKILL, (step, when, died.stderr)
            assert_no_orphans(project / "deliveries")

    done = fairtrial("watch", "--once", cwd=project)

    assert done.returncode == 0, done.stderr
    assert_no_orphans(project / "deliveries")
    assert [(each["action"], each["version"]) for each in history(project)] == [
        ("adopted", worse),
        ("promoted", better),
    ]
    assert models.holder("champion") == better
    assert models.tags(better)["fairtrial.outcome"] == "promoted"
    assert models.reports(better) == ["report.html", "verdict.json"]
    tags = httpx.get(f"http://{registry.address}/v2/killed/wine/tags/list").json()
    assert tags["tags"] == [better]
    runs = list((project / "deliveries/wine/runs").glob("*/*/verdict.json"))
    assert len(runs) == 1
