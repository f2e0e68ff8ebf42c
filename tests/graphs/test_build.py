"""Manifests from plain data, and the changes an experiment makes to them."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fairtrial_graphs.build import (
    Arm,
    Autoscaling,
    Shadow,
    build,
    weights,
    with_local_uris,
    with_weights,
    without,
)
from fairtrial_graphs.seldon.text import render
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

CRD = Path(__file__).parents[3] / "shared" / "crds" / "seldondeployment-v1.17.1.yaml"

V1 = Arm("v1", "models/v1", "SKLEARN_SERVER")
V2 = Arm("v2", "models/v2", "SKLEARN_SERVER")
V3 = Arm("v3", "models/v3", "SKLEARN_SERVER")
FULL = Arm(
    "full",
    "s3://bucket/full",
    "FAIRTRIAL_ONNX",
    replicas=2,
    resources={"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}},
    autoscaling=Autoscaling(max_replicas=4, min_replicas=2, target_cpu=70),
    parameters={"threshold": "0.5"},
    env={"OMP_NUM_THREADS": "1"},
    service_account="models",
    env_secret="rclone",
    logger_url="http://broker",
)


KINDS = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, None: object}


def violations(value: Any, schema: dict[str, Any], path: str = "") -> list[str]:
    """What a kube-apiserver with strict field validation would say of a value."""
    kind = KINDS[schema.get("type")]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return [f"{path}: {value!r} is no {schema['type']}"]
    found: list[str] = []
    if kind is list:
        for index, part in enumerate(value):
            found += violations(part, schema["items"], f"{path}.{index}")
    elif kind is dict and path != ".metadata":
        known: dict[str, Any] = schema.get("properties", {})
        rest: Any = schema.get("additionalProperties", {} if not known else None)
        found += [f"{path}.{name} is missing" for name in schema.get("required", []) if name not in value]
        for name, part in value.items():
            if name not in known and rest is None:
                found.append(f"{path}.{name} is unknown")
            else:
                found += violations(part, known.get(name, rest), f"{path}.{name}")
    return found


@pytest.mark.skipif(not CRD.exists(), reason="the CRDs are beside a checkout in CI, not in the project")
def test_what_is_built_fits_the_crd():
    crd: Any = YAML(typ="safe").load(CRD.read_text(encoding="utf-8"))
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    deployment = build(
        "wine", [V1, FULL], {"v1": 90, "full": 10}, shadow=Shadow(V2, 50), namespace="ml", labels={"a": "b"}
    )
    assert violations(deployment.to_dict(), schema) == []
    assert violations({**deployment.to_dict(), "typo": 1}, schema) == [".typo is unknown"]


def test_each_arm_is_a_predictor_whose_node_and_version_have_its_name():
    deployment = build("wine", [V1, V2], {"v1": 90, "v2": 10})
    assert deployment.spec.protocol == "v2"
    assert [
        (p.name, p.graph.name, p.traffic, (p.annotations or {})["version"])
        for p in deployment.spec.predictors
    ] == [("v1", "v1", 90, "v1"), ("v2", "v2", 10, "v2")]


def test_the_same_input_gives_the_same_bytes_whatever_the_order_of_mappings():
    one = Arm("v1", "m", "I", env={"A": "1", "B": "2"}, parameters={"x": "1", "y": "2"})
    two = Arm("v1", "m", "I", env={"B": "2", "A": "1"}, parameters={"y": "2", "x": "1"})
    assert render(build("d", [one])) == render(build("d", [two]))


def test_without_weights_the_first_arm_has_all_traffic():
    assert weights(build("d", [V1, V2, V3])) == {"v1": 100, "v2": 0, "v3": 0}


def test_changing_weights_leaves_the_original_and_the_shadow_alone():
    original = build("d", [V1, V2], {"v1": 90, "v2": 10}, shadow=Shadow(V3, 30))
    changed = with_weights(original, {"v1": 50, "v2": 50})
    assert weights(original) == {"v1": 90, "v2": 10}
    assert weights(changed) == {"v1": 50, "v2": 50}
    assert changed.spec.predictors[2] == original.spec.predictors[2]
    assert with_weights(changed, {"v1": 90, "v2": 10}) == original


@pytest.mark.parametrize("wrong", [{"v1": 100, "v9": 0}, {"v1": 90}, {"v1": 110, "v2": -10}, {"v3": 100}])
def test_impossible_weights_are_refused(wrong: dict[str, int]):
    with pytest.raises(ValueError, match=r"no predictor called|sum to 100"):
        with_weights(build("d", [V1, V2], shadow=Shadow(V3)), wrong)


def test_what_remains_of_two_has_all_traffic():
    rest = without(build("d", [V1, V2], {"v1": 50, "v2": 50}, shadow=Shadow(V3)), "v2")
    assert [(p.name, p.traffic) for p in rest.spec.predictors] == [("v1", 100), ("v3", 100)]


def test_removing_a_shadow_changes_no_weight():
    split = {"v1": 90, "v2": 10}
    assert without(build("d", [V1, V2], split, shadow=Shadow(V3)), "v3") == build("d", [V1, V2], split)


@pytest.mark.parametrize("name", ["v1", "v9"])
def test_the_last_predictor_and_an_unknown_one_cannot_be_removed(name: str):
    with pytest.raises(ValueError, match=r"only predictor|no predictor"):
        without(build("d", [V1], shadow=Shadow(V2)), name)


@given(st.lists(st.integers(0, 100), min_size=3, max_size=6), st.data())
def test_the_traffic_of_a_removed_predictor_goes_to_the_others_in_proportion(
    cuts: list[int], data: st.DataObject
):
    bounds = [0, *sorted(cuts), 100]
    shares = {f"v{i}": high - low for i, (low, high) in enumerate(pairwise(bounds))}
    arms = [Arm(name, "m", "I") for name in shares]
    removed = data.draw(st.sampled_from(sorted(shares)))
    rest = weights(without(build("d", arms, shares), removed))
    left = 100 - shares[removed]
    assert sum(rest.values()) == 100
    if left:
        assert all(abs(rest[name] - shares[name] * 100 / left) < 1 for name in rest)


def test_local_paths_become_file_uris_and_others_stay(tmp_path: Path):
    arms = [
        V1,
        Arm("v2", "/abs/v2", "I"),
        Arm("v3", "s3://b/v3", "I"),
        Arm("v4", "models:/wine@champion", "I"),
    ]
    deployment = with_local_uris(build("d", arms), tmp_path)
    assert [p.graph.modelUri for p in deployment.spec.predictors] == [
        (tmp_path / "models" / "v1").resolve().as_uri(),
        "file:///abs/v2",
        "s3://b/v3",
        "models:/wine@champion",
    ]
