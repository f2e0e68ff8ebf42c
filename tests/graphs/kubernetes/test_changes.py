"""What stands between a SeldonDeployment as it is and as it is wanted."""

from __future__ import annotations

from typing import Any

import pytest
from fairtrial_graphs.backends.interface import NotReady
from fairtrial_graphs.backends.kubernetes.changes import beside, growing, in_namespace, leaving
from fairtrial_graphs.backends.kubernetes.drift import differences
from fairtrial_graphs.backends.kubernetes.marking import MARK, marked
from fairtrial_graphs.build import Arm, as_large_as, build, with_weights

ARMS = [Arm(name, f"s3://models/{name}", "SKLEARN_SERVER") for name in ("v1", "v2", "v3")]


def manifest(**weights: int) -> dict[str, Any]:
    arms = [arm for arm in ARMS if arm.name in weights]
    return with_weights(build("wine", arms, namespace="shop"), weights).to_dict()


def test_what_defaults_and_webhooks_add_is_no_difference_and_what_they_leave_out_is_none():
    found = {"a": 1, "list": [{"x": 1, "more": True}], "added": {}}
    assert list(differences({"a": 1, "zero": 0, "list": [{"x": 1}]}, found)) == []


def test_a_difference_is_told_by_its_path():
    found = {"a": 2, "list": [{"x": 2}], "short": [1]}
    wanted = {"a": 1, "list": [{"x": 1}], "short": [1, 2], "new": "n"}
    assert list(differences(wanted, found)) == ["spec.a", "spec.list.0.x", "spec.short", "spec.new"]


def test_a_new_predictor_is_marked_and_one_that_is_there_is_not():
    fresh = marked(manifest(v1=90, v2=10), manifest(v1=100))
    marks = [MARK in (each.get("annotations") or {}) for each in fresh["spec"]["predictors"]]
    assert marks == [False, True]
    assert (
        marked(manifest(v1=50, v2=50), fresh)["spec"]["predictors"][1]["annotations"]
        == (fresh["spec"]["predictors"][1]["annotations"])
    ), "a shift of traffic starts no pod anew"


def test_a_predictor_that_changes_has_another_mark():
    before = marked(manifest(v1=100), None)
    other = Arm("v1", "s3://models/other", "SKLEARN_SERVER")
    after = marked(build("wine", [other], namespace="shop").to_dict(), before)
    first, second = (each["spec"]["predictors"][0]["annotations"][MARK] for each in (before, after))
    assert first != second


def test_what_is_to_be_added_stands_beside_what_serves_with_the_traffic_as_it_is():
    found, wanted = manifest(v1=60, v2=40), manifest(v2=30, v3=70)
    assert growing(wanted, found) == ["v3"]
    assert [each["name"] for each in leaving(wanted, found)] == ["v1"]
    both = beside(wanted, found)["spec"]["predictors"]
    assert {each["name"]: each["traffic"] for each in both} == {"v1": 60, "v2": 40, "v3": 0}


def test_a_winner_gets_the_losers_capacity_unless_it_has_more_or_is_autoscaled():
    big, small = Arm("v1", "s3://m", "X", replicas=3), Arm("v2", "s3://m", "X")
    sizes = {
        each.name: each.replicas
        for each in as_large_as(build("wine", [big, small]), "v2", "v1").spec.predictors
    }
    assert sizes == {"v1": 3, "v2": 3}
    unchanged = build("wine", [big, small])
    assert as_large_as(unchanged, "v1", "v2") == unchanged


def test_a_deployment_of_another_namespace_is_refused_with_what_to_say():
    with pytest.raises(NotReady, match="say --namespace shop"):
        in_namespace(build("wine", ARMS[:1], namespace="shop"), "lab")
