"""The dashboard asks Prometheus what it understands, for metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairtrial_graphs.backends.local.executor import metrics as executor

CHART = Path(__file__).parents[2] / "charts/fairtrial"
DASHBOARD: dict[str, Any] = json.loads((CHART / "dashboards/fairtrial.json").read_text())
STATES: dict[str, Any] = yaml.safe_load((CHART / "files/kube-state-metrics.yaml").read_text())
EXPERIMENTS = "experiments/fairtrial"


def expressions() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield (
                target["expr"]
                .replace("$__rate_interval", "5m")
                .replace("$namespace", "a")
                .replace("$deployment", "b")
            )


def test_prometheus_understands_every_question(tmp_path: Path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool: install Debian's prometheus")
    rules = [{"record": f"asked:{number}", "expr": each} for number, each in enumerate(expressions())]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", file], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_the_executors_metrics_are_those_of_the_executor():
    asked = {name for each in expressions() for name in re.findall(r"seldon_\w+", each)}
    assert asked == {f"{executor._CLIENT}_count", f"{executor._CLIENT}_bucket"}
    used = {name for each in expressions() for name in re.findall(r"(\w+_name|code)\b", each)}
    assert used <= {*executor._OF_PREDICTOR, "code"}


def test_our_metrics_are_those_that_something_tells():
    asked = {name for each in expressions() for name in re.findall(r"fairtrial_\w+", each)}
    [resource] = STATES["spec"]["resources"]
    told = {f"{resource['metricNamePrefix']}_{metric['name']}" for metric in resource["metrics"]}
    source = Path(__file__).parents[2] / EXPERIMENTS
    for part, file in (("collector", "collect/metrics.py"), ("operator", "operator/serving.py")):
        ours = {name for name in asked if name.startswith(f"fairtrial_{part}_")}
        if not (source / file).exists():
            told |= ours  # that part is not there yet
            continue
        text = (source / file).read_text()
        told |= {name for name in ours if name.removeprefix(f"fairtrial_{part}_") in text}
    assert asked <= told


def test_states_are_those_of_the_resource():
    definition = yaml.safe_load((CHART / "crds/experiments.fairtrial.dev.yaml").read_text())
    [version] = definition["spec"]["versions"]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    [resource] = STATES["spec"]["resources"]
    assert resource["groupVersionKind"] == {
        "group": definition["spec"]["group"],
        "version": version["name"],
        "kind": definition["spec"]["names"]["kind"],
    }
    metrics = {metric["name"]: metric["each"] for metric in resource["metrics"]}
    assert metrics["phase"]["stateSet"]["list"] == status["phase"]["enum"]
    for each in metrics.values():
        assert each[each["type"][0].lower() + each["type"][1:]]["path"][1] in status


def test_panels_do_not_lie_on_one_another():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
