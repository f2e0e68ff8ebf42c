"""What an observer keeps of objects in memory."""

from __future__ import annotations

from typing import Any

import pytest
from fairtrial_graphs.backends.kubernetes.keeping import reduced
from fairtrial_graphs.backends.kubernetes.kinds import (
    DEPLOYMENT,
    HTTP_ROUTE,
    POD,
    SELDON_DEPLOYMENT,
    SERVICE,
    Kind,
)


def item(**fields: Any) -> dict[str, Any]:
    last = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "mark": "m"}
    managers = [{"manager": "kubectl", "time": "t", "fieldsV1": {"f:spec": {}}}]
    metadata = {"name": "wine", "generation": 2, "annotations": last, "managedFields": managers}
    return {"metadata": metadata, **fields}


@pytest.mark.parametrize(
    ("kind", "fields", "left"),
    [
        (DEPLOYMENT, {"spec": {"replicas": 2, "template": {}}, "status": {"readyReplicas": 1}},
         {"spec": {"replicas": 2}, "status": {"readyReplicas": 1}}),
        (DEPLOYMENT, {"spec": {"template": {}}}, {"spec": {}}),
        (POD, {"spec": {"containers": []}, "status": {"podIP": "10.0.0.1", "containerStatuses": []}},
         {"status": {"containerStatuses": []}}),
        (SERVICE, {"spec": {"ports": []}, "status": {}}, {}),
        (SELDON_DEPLOYMENT, {"spec": {"predictors": []}, "status": {"state": "Available"}},
         {"spec": {"predictors": []}}),
        (HTTP_ROUTE, {"spec": {"rules": []}, "status": {"parents": []}},
         {"spec": {"rules": []}, "status": {"parents": []}}),
    ],
)  # fmt: skip
def test_what_is_asked_of_a_kind_is_kept(kind: Kind, fields: dict[str, Any], left: dict[str, Any]):
    found = reduced(kind, item(**fields))
    metadata = found.pop("metadata")
    assert found == left
    assert metadata["managedFields"] == [{"manager": "kubectl", "time": "t"}]
    assert (metadata["generation"], metadata["annotations"]) == (2, {"mark": "m"})


def test_equal_strings_of_two_objects_are_in_memory_once():
    first, second = ({"labels": {"".join(["a", "pp"]): "".join(["v", "1"])}} for _ in range(2))
    one, other = (reduced(SERVICE, {"metadata": each})["metadata"]["labels"] for each in (first, second))
    assert next(iter(one)) is next(iter(other))
    assert one["app"] is other["app"]
