"""`fairtrial validate` tells a Pipeline resource from a pipeline file, and checks what needs no cluster."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from fairtrial.cli.group import cli

RESOURCE = """\
apiVersion: fairtrial.dev/v1alpha1
kind: Pipeline
metadata: {name: wine, namespace: models, labels: {team: wine}}
spec:
  registry: {mlflow: {model: wine}}
  experiment:
    baseline: {name: v1, modelUri: "models:/wine@champion"}
    candidates: [{name: v2, modelUri: "models:/wine@challenger"}]
    traffic: {loadTest: {requests: {data: rows.csv}}}
    metrics: [{name: accuracy}]
  serve: {kubernetes: {route: istio}}
  pod:
    files: {configMap: holdout}
"""


def validated(folder: Path, text: str) -> tuple[int, str]:
    file = folder / "wine.yaml"
    file.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(cli, ["validate", str(file)])
    return done.exit_code, done.output.replace(f"{file}:", "")


def test_one_without_mistakes_needs_no_files_here(tmp_path: Path):
    assert validated(tmp_path, RESOURCE) == (0, " no mistakes\n")


@pytest.mark.parametrize(
    ("said", "otherwise", "told"),
    [
        (
            "data: rows.csv",
            "dat: rows.csv",
            "9:37 spec.experiment.traffic.loadTest.requests.dat: unknown field",
        ),
        (
            "  pod:\n    files: {configMap: holdout}\n",
            "",
            "9:43 spec.experiment.traffic.loadTest.requests.data: there is no data at rows.csv",
        ),
        (
            "route: istio",
            "namespace: shop",
            "11:35 spec.serve.kubernetes.namespace: a Pipeline serves in its own",
        ),
        ("name: wine,", f"name: {'a' * 44},", "3:18 metadata.name: expected at most 43 characters"),
        ("metrics: [{name: accuracy}]", "promotion: {}", "spec.experiment.promotion: the pipeline moves the"),
        ("kubernetes: {route: istio}", "local: {}", "11:10 spec.serve: in a pod nobody would reach"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, said: str, otherwise: str, told: str):
    code, output = validated(tmp_path, RESOURCE.replace(said, otherwise))
    assert code == 2
    assert told in output


def test_who_takes_it_for_a_pipeline_file_is_told_what_it_is(tmp_path: Path):
    file = tmp_path / "wine.yaml"
    file.write_text(RESOURCE, encoding="utf-8")
    done = CliRunner().invoke(cli, ["watch", "-f", str(file), "--once"])
    assert done.exit_code == 2
    assert done.output.startswith(f"error: {file} is a Pipeline for a cluster: `kubectl apply -f` it there")


def test_the_one_of_the_docs_has_no_mistake(tmp_path: Path):
    page = (Path(__file__).parents[4] / "docs" / "delivery.md").read_text(encoding="utf-8")
    (shown,) = [each for each in re.findall(r"```yaml\n(.*?)```", page, re.S) if "\n  pod:" in each]
    assert validated(tmp_path, shown) == (0, " no mistakes\n")
