"""The experiment that a version is put to: the pipeline's own, with two versions in place of its arms."""

from __future__ import annotations

from pathlib import Path

import pytest
from fairtrial.delivery.pinning import Pinned, arm_of, load_template, pinned_text
from fairtrial.experiment.problems import ExperimentFileError
from fairtrial.experiment.reading import parse

TEXT = """\
# what a version must be
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
metadata: {name: wine}
spec:
  baseline: {name: old, modelUri: "models:/wine@champion", replicas: 2}
  candidates:
    - name: new  # replaced
      modelUri: "models:/wine@challenger"
      parameters: {trusted: "sklearn.Own"}
  traffic: {loadTest: {requests: {data: rows.jsonl}}}
  metrics: [{name: errorRate, maxRegression: 1pp}]
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "experiment.yaml"
    path.write_text(TEXT)
    (tmp_path / "rows.jsonl").touch()
    return path


@pytest.mark.parametrize(
    ("version", "arm"),
    [("7", "v7"), ("v7", "v7"), ("2026.11.28-RC1", "v2026-11-28-rc1"), ("x" * 99, "v" + "x" * 40)],
)
def test_an_arm_is_named_after_its_version(version: str, arm: str) -> None:
    assert arm_of(version) == arm


def test_the_versions_take_the_places_of_the_arms_and_the_rest_stays(template: Path) -> None:
    text = pinned_text(template, Pinned("3", "models:/wine/3"), Pinned("7", "models:/wine/7"))
    spec = parse(text.encode(), source="pinned", folder=template.parent).spec
    before = load_template(template).spec
    assert (spec.baseline.name, spec.baseline.model_uri) == ("v3", "models:/wine/3")
    (candidate,) = spec.candidates
    assert (candidate.name, candidate.model_uri) == ("v7", "models:/wine/7")
    # The candidate's section describes every version, so that a promotion changes nothing but the model.
    assert spec.baseline.parameters == candidate.parameters == {"trusted": "sklearn.Own"}
    assert spec.baseline.replicas is None
    assert spec.metrics == before.metrics
    assert text.startswith("# what a version must be")
    assert template.read_text() == TEXT


def test_the_same_versions_give_the_same_text(template: Path) -> None:
    three, seven = Pinned("3", "models:/wine/3"), Pinned("7", "models:/wine/7")
    assert pinned_text(template, three, seven) == pinned_text(template, three, seven)


def test_the_shares_of_an_ab_test_follow_the_arms_to_their_names(template: Path) -> None:
    shares = "  strategy: {abTest: {weights: {old: 80, new: 20}}}\n"
    template.write_text(TEXT.replace("  traffic", f"{shares}  traffic"))
    text = pinned_text(template, Pinned("3", "models:/wine/3"), Pinned("7", "models:/wine/7"))
    strategy = parse(text.encode(), source="pinned", folder=template.parent).spec.strategy
    assert strategy.ab_test is not None
    assert strategy.ab_test.weights == {"v3": 80, "v7": 20}


@pytest.mark.parametrize("version", ["new", "3"])
def test_one_alone_has_no_arm_of_its_name_beside_it(template: Path, version: str) -> None:
    text = pinned_text(template, Pinned(version, "models:/wine/3"), None)
    spec = parse(text.encode(), source="pinned", folder=template.parent).spec
    assert spec.baseline.name == arm_of(version)
    assert spec.candidates[0].name == f"not-{arm_of(version)}"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "  traffic",
            '    - {name: third, modelUri: "models:/wine/1"}\n  traffic',
            ":11:7 spec.candidates.1: a pipeline tries one version at a time; leave one of them",
        ),
        (
            "  traffic",
            "  promotion: {mlflow: {model: wine}}\n  traffic",
            ":11:3 spec.promotion: the pipeline moves the registry's alias; remove it",
        ),
        (
            "  traffic",
            "  onInconclusive: hold\n  traffic",
            ":11:19 spec.onInconclusive: hold leaves two versions in service; a pipeline needs one",
        ),
        ("errorRate", "errorRat", None),
    ],
)
def test_an_experiment_that_a_pipeline_cannot_use_is_told_with_its_place(
    template: Path, old: str, new: str, expected: str | None
) -> None:
    template.write_text(TEXT.replace(old, new))
    with pytest.raises(ExperimentFileError) as told:
        load_template(template)
    if expected is not None:
        assert str(told.value) == f"{template}{expected}"
