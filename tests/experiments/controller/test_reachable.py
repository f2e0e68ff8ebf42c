"""Runs on a cluster whose requests are sent from outside of it."""

from __future__ import annotations

from typing import Any

import pytest
from fairtrial.controller.placing import Cluster
from fairtrial.controller.reachable import check_reachable, resolves
from fairtrial.errors import UsageError
from fairtrial.experiment.model import Experiment

GATEWAY, SERVICE = "http://127.0.0.1:8003", "http://{service}.test:8000"


def experiment(**traffic: Any) -> Experiment:
    return Experiment.model_validate(
        {
            "apiVersion": "fairtrial.dev/v1alpha1",
            "kind": "Experiment",
            "spec": {
                "baseline": {"name": "v1", "modelUri": "s3://m/v1"},
                "candidates": [{"name": "v2", "modelUri": "s3://m/v2"}],
                "metrics": [{"name": "errorRate", "maxRegression": "1pp"}],
                **({"traffic": traffic} if traffic else {}),
            },
        }
    )


@pytest.mark.parametrize(
    ("cluster", "missing"),
    [
        (Cluster(), "say --gateway-url and --service-url,"),
        (Cluster(gateway_url=GATEWAY), "say --service-url,"),
        (Cluster(service_url=SERVICE), "say --gateway-url,"),
        (Cluster(route="none"), "say --service-url,"),
    ],
)
def test_outside_of_the_cluster_the_missing_addresses_are_told(cluster: Cluster, missing: str):
    with pytest.raises(UsageError, match="kubectl port-forward") as told:
        check_reachable(cluster, experiment(), lambda _: False)
    assert missing in str(told.value)


@pytest.mark.parametrize(
    ("cluster", "live"),
    [
        (Cluster(gateway_url=GATEWAY, service_url=SERVICE), False),
        (Cluster(route="gateway-api", service_url=SERVICE), False),
        (Cluster(load_image="fairtrial:1"), False),
        (Cluster(), True),
    ],
)
def test_nothing_is_missing_where_all_is_said_or_nothing_is_sent_from_here(cluster: Cluster, live: bool):
    traffic = {"live": {"source": "requestLog", "collector": "http://c:8080", "expectedRate": "5/s"}}
    check_reachable(cluster, experiment(**(traffic if live else {})), lambda _: False)


def test_inside_the_cluster_its_names_are_known():
    check_reachable(Cluster(), experiment(), lambda _: True)


def test_a_name_that_nobody_has_does_not_resolve():
    assert resolves("localhost")
    assert not resolves("kubernetes.default.svc.cluster.invalid")
