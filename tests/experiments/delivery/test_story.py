"""The closed loop, with real parts: MLflow and its database, a registry of images, the local plane.

Nobody does anything after the aliases are set: the watch alone brings the better version into service.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from experiments.delivery.conftest import Models
from experiments.runs import FAIRTRIAL, fairtrial, processes_of
from servers.image.conftest import Running

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300)]

PIPELINE = """
apiVersion: fairtrial.dev/v1alpha1
kind: Pipeline
metadata: {name: wine}
spec:
  registry: {mlflow: {model: MODEL, alias: champion, trackingUri: "URL"}}
  image: {push: "REGISTRY/models/wine", base: "BASE", lock: none.txt, insecure: true}
  listen: {port: 0}
  triggers:
    - {name: new-version, registry: {every: 1s}}
    - {name: degraded, alert: {match: {alertname: ModelDegraded, model: wine}}, do: [rollBack]}
"""


def alerts(began: str, *fingerprints: str) -> dict:
    """What Alertmanager says of one or several series."""
    return {
        "version": "4",
        "status": "firing",
        "receiver": "fairtrial",
        "groupKey": "{}",
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "ModelDegraded", "model": "wine"},
                "annotations": {"summary": "accuracy fell to 71% within the hour"},
                "startsAt": began,
                "endsAt": "0001-01-01T00:00:00Z",
                "fingerprint": fingerprint,
            }
            for fingerprint in fingerprints
        ],
    }


class Watching:
    """A `fairtrial watch` at work."""

    def __init__(self, project: Path) -> None:
        self.said = project / "watch.log"
        self.project = project
        with self.said.open("wb") as log:
            self.process = subprocess.Popen(
                [*FAIRTRIAL, "watch"], cwd=project, stdout=log, stderr=log, env={**os.environ, "CI": "1"}
            )

    def find(self, pattern: str, count: int = 1, timeout: float = 90) -> re.Match[str]:
        """The nth match of what it says, once it has said it."""
        deadline = time.monotonic() + timeout
        while True:
            found = list(re.finditer(pattern, self.said.read_text()))
            if len(found) >= count:
                return found[count - 1]
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < deadline, self.said.read_text()
            time.sleep(0.1)


@contextmanager
def watching(project: Path) -> Iterator[Watching]:
    watch = Watching(project)
    try:
        yield watch
        watch.process.send_signal(signal.SIGINT)
        assert watch.process.wait(60) == 130, watch.said.read_text()
    finally:
        watch.process.kill()
        watch.process.wait()
    assert not processes_of(project / "deliveries")


def history(project: Path) -> list[dict]:
    return json.loads(fairtrial("history", "--output", "json", cwd=project).stdout)["entries"]


def until(holds: Callable[[], bool], timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def serves(url: str) -> str:
    """Which arm answers."""
    return httpx.get(f"{url}/v2/health/ready", timeout=10).headers["x-fairtrial-arm"]


def test_the_better_version_serves_a_bad_one_is_refused_and_an_alert_rolls_back(
    models: Models, project: Path, registry: Running, small_base: Path
):
    text = PIPELINE.replace("MODEL", models.name).replace("URL", models.url)
    text = text.replace("REGISTRY", registry.address).replace("BASE", str(small_base))
    (project / "pipeline.yaml").write_text(text)
    (project / "none.txt").write_text("# the base has all packages\n")
    worse, better = models.add("v1"), models.add("v2")
    models.give("champion", worse)
    with watching(project) as watch:
        url = watch.find(rf"version {worse} is in service at (\S+)")[1]
        assert serves(url) == f"v{worse}"

        models.give("challenger", better)
        watch.find(rf"version {better} is in service at")
        until(lambda: len(history(project)) == 2)
        assert serves(url) == f"v{better}"
        assert models.holder("champion") == better
        assert models.tags(better)["fairtrial.verdict"] == "PROMOTE"
        assert models.reports(better) == ["report.html", "verdict.json"]
        image = models.tags(better)["fairtrial.image"]
        tag, digest = f"{registry.address}/models/wine:{better}", image.partition("@")[2]
        assert image == f"{tag}@{digest}"
        answer = httpx.get(f"http://{registry.address}/v2/models/wine/manifests/{better}",
                           headers={"accept": "application/vnd.oci.image.manifest.v1+json"})  # fmt: skip
        assert answer.headers["docker-content-digest"] == digest

        bad = models.add("v1")
        models.give("challenger", bad)
        until(lambda: len(history(project)) == 3)
        assert serves(url) == f"v{better}"
        assert models.holder("champion") == better
        assert models.tags(bad)["fairtrial.outcome"] == "refused"
        assert models.tags(bad)["fairtrial.verdict"] == "ROLLBACK"

        listens = watch.find(r"listens at (\S+)")[1]
        told = alerts(datetime.now(UTC).isoformat(), "c0ffee", "decaf")
        assert httpx.post(f"{listens}/alerts", json=told).status_code == 200
        assert httpx.post(f"{listens}/alerts", json=told).status_code == 200  # Alertmanager says it again
        until(lambda: len(history(project)) == 5)
        assert serves(url) == f"v{worse}"
        assert models.holder("champion") == worse

    actions = [(each["action"], each["version"], each["before"]) for each in history(project)]
    assert actions == [
        ("adopted", worse, None),
        ("promoted", better, worse),
        ("refused", bad, better),
        ("rolledBack", worse, better),
        ("noted", worse, worse),  # the second series began before that
    ]
    *_, last, _ = history(project)
    assert "accuracy fell to 71%" in last["why"]
    assert models.tags(worse)["fairtrial.ledger"] == f"4:{last['hash']}"
