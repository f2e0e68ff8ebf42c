"""Experiments on a cluster are tracked on a real MLflow server, over a restart of the operator."""

from __future__ import annotations

import pytest
from cluster.operator.conftest import Cluster, Start
from cluster.operator.scripted import GOOD
from mlflow import MlflowClient

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300)]  # MLflow takes half a minute to start


def test_a_run_is_one_run_of_mlflow_with_its_looks_and_its_verdict(
    cluster: Cluster, start: Start, mlflow_server: str
):
    first = start()
    cluster.create(tracking={"mlflow": {"experiment": cluster.namespace, "trackingUri": mlflow_server}})
    cluster.until_step("1/2")
    cluster.source().bring(6, GOOD)
    cluster.until_step("2/2")
    first.stop()
    start()
    cluster.source().bring(40, GOOD)
    status = cluster.until_phase("Promoted", timeout=120)
    client = MlflowClient(mlflow_server)
    experiment = client.get_experiment_by_name(cluster.namespace)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.tags["fairtrial.trial"] == status["run"]["id"]
    assert run.info.status == "FINISHED"
    assert "PROMOTE" in run.data.tags.values()
    incidents = [entry["body"]["message"] for entry in status["journal"] if entry["kind"] == "incident"]
    assert not [each for each in incidents if "tracking" in each]
    looks = {
        point.step for name in run.data.metrics for point in client.get_metric_history(run.info.run_id, name)
    }
    assert max(looks) >= status["verdict"]["look"]
