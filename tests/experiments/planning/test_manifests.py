"""`render`, `plan --against` and `validate` on manifests, as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from fairtrial.cli.group import cli
from fairtrial_graphs.core2.text import parse as parse_core2
from fairtrial_graphs.seldon.text import parse

EXPERIMENT = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
metadata: {name: wine}
spec:
  baseline: {name: v1, modelUri: "s3://models/v1", format: onnx}
  candidates: [{name: v2, modelUri: "s3://models/v2", format: onnx}]
  strategy: {canary: {steps: [{setWeight: 10}, {setWeight: 50}]}}
  traffic: {loadTest: {requests: {data: rows.parquet}}}
  metrics: [{name: errorRate, role: guardrail, maxRegression: 1pp}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pq.write_table(pa.table({"x": [1.0, 2.0]}), tmp_path / "rows.parquet")
    (tmp_path / "experiment.yaml").write_text(EXPERIMENT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fairtrial(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def test_render_is_the_seldondeployment_of_a_step_the_same_bytes_each_time(folder: Path):
    first, again = fairtrial("render", "--step", "2"), fairtrial("render", "--step", "2")
    assert (first.exit_code, first.stdout, first.stderr) == (0, again.stdout, "")
    assert [p.traffic for p in parse(first.stdout).spec.predictors] == [50, 50]
    assert json.loads(fairtrial("render", "--output", "json").stdout)["kind"] == "SeldonDeployment"


def test_render_tells_what_is_served_after_the_verdict(folder: Path):
    def names_and_traffic(*arguments: str) -> list[tuple[str, int | None]]:
        result = fairtrial("render", *arguments)
        assert result.exit_code == 0, result.stderr
        return [(p.name, p.traffic) for p in parse(result.stdout).spec.predictors]

    assert [name for name, _ in names_and_traffic("--after", "promote")] == ["v2"]
    assert [name for name, _ in names_and_traffic("--after", "rollback")] == ["v1"]
    file = folder / "experiment.yaml"
    canary = "{canary: {steps: [{setWeight: 10}, {setWeight: 50}]}}"
    file.write_text(EXPERIMENT.replace(canary, "{blueGreen: {}}"), encoding="utf-8")
    assert names_and_traffic("--after", "switch") == [("v1", 0), ("v2", 100)]


def test_render_for_core_2_is_its_resources(folder: Path):
    result = fairtrial("render", "--plane", "core2")
    kinds = [resource.kind for resource in parse_core2(result.stdout)]
    assert kinds == ["Model", "Model", "Experiment"]
    assert "note: v1 " not in result.stderr
    assert "needs a Server with the capability" in result.stderr


def test_render_with_a_route_divides_documents_and_is_a_list_in_json(folder: Path):
    text = fairtrial("render", "--route", "gateway-api", "--gateway", "infra/public")
    assert text.stdout.count("\n---\n") == 1
    assert "note: metadata.namespace" in text.stderr
    result = fairtrial("render", "--route", "gateway-api", "--output", "json")
    document = json.loads(result.stdout)
    assert (document["apiVersion"], document["kind"]) == ("v1", "List")
    assert [item["kind"] for item in document["items"]] == ["SeldonDeployment", "HTTPRoute"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--step", "3"], "has steps 1 to 2"),
        (["--plane", "core2", "--route", "istio"], "leave --route out"),
        (["--gateway", "x"], "say which with --route"),
        (["--after", "switch"], "only the strategy blueGreen keeps"),
        (["--after", "promote", "--candidate", "v3"], "the candidates are v2"),
    ],
)
def test_what_cannot_be_rendered_is_bad_usage(folder: Path, arguments: list[str], sentence: str):
    result = fairtrial("render", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr


def test_plan_shows_what_would_change_and_only_that(folder: Path):
    there = folder / "there.yaml"
    there.write_text(fairtrial("render").stdout, encoding="utf-8")
    assert fairtrial("plan", "--against", "there.yaml").stdout.endswith("changes of there.yaml\n  none\n")

    data = json.loads(fairtrial("render", "--step", "2", "--output", "json").stdout)
    data["metadata"] |= {
        "uid": "1",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
    }
    live = dict(sorted({**data, "status": {"state": "Available"}}.items(), reverse=True))
    there.write_text(json.dumps(live), encoding="utf-8")
    result = fairtrial("plan", "--against", "there.yaml")
    changed = [line for line in result.stdout.splitlines() if line.startswith(("  -  ", "  +  "))]
    assert [line.replace(" ", "") for line in changed] == [
        "-traffic:50",
        "+traffic:90",
        "-traffic:50",
        "+traffic:10",
    ]
    assert "\x1b[" not in result.stdout
    document = json.loads(fairtrial("plan", "--against", "there.yaml", "--output", "json").stdout)
    assert "+    traffic: 90" in document["changes"]["diff"]


def test_plan_against_the_folder_of_a_run_and_against_nothing(folder: Path):
    run = folder / "runs" / "wine-1"
    run.mkdir(parents=True)
    (run / "seldondeployment.yaml").write_text(fairtrial("render").stdout, encoding="utf-8")
    assert fairtrial("plan", "--against", str(run)).stdout.endswith("  none\n")
    result = fairtrial("plan", "--against", "gone.yaml")
    assert result.exit_code == 2
    assert "gone.yaml: cannot be read" in result.stderr


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    from fairtrial.console.diff import print_diff

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    print_diff(["--- a", "+++ b", "@@ -1 +1 @@", "-old", "+new", " same"])
    old, new, same = capsys.readouterr().out.splitlines()[3:]
    assert ("\x1b[31m" in old, "\x1b[32m" in new, "\x1b[" in same) == (True, True, False)


def test_validate_checks_a_seldondeployment_with_its_lines(folder: Path):
    good = fairtrial("render").stdout
    (folder / "m.yaml").write_text(good, encoding="utf-8")
    assert fairtrial("validate", "m.yaml").stdout == "m.yaml: no mistakes\n"

    (folder / "m.yaml").write_text(good.replace("FAIRTRIAL_ONNX_SERVER", "ONIX"), encoding="utf-8")
    warned = fairtrial("validate", "m.yaml")
    assert (warned.exit_code, warned.stderr.count("warning: m.yaml:")) == (0, 2)

    (folder / "m.yaml").write_text(good.replace("traffic: 10\n", "traffic: 20\n"), encoding="utf-8")
    wrong = fairtrial("validate", "m.yaml")
    assert wrong.exit_code == 2
    line = good.splitlines().index("  predictors:") + 2
    assert f"m.yaml:{line}:3 spec.predictors: traffic over all predictors" in wrong.stderr
    document = json.loads(fairtrial("validate", "m.yaml", "--output", "json").stdout)
    assert document["files"][0]["problems"][0]["path"] == "spec.predictors"
