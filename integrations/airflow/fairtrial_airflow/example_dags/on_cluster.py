"""A trial that Fairtrial's operator runs: on live traffic, for days, without a worker that waits."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from airflow.sdk import DAG

from fairtrial_airflow.operators.experiment import FairtrialExperimentOperator

with DAG(
    "fairtrial_on_cluster",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    tags=["fairtrial"],
):
    FairtrialExperimentOperator(
        task_id="trial",
        experiment=os.environ.get("FAIRTRIAL_EXPERIMENT", "/srv/fairtrial/experiment.yaml"),
        namespace="{{ params.namespace }}",
        kubeconfig=os.environ.get("KUBECONFIG"),
        params={"namespace": os.environ.get("FAIRTRIAL_NAMESPACE", "models")},
        poll_interval=float(os.environ.get("FAIRTRIAL_POLL", "10")),
    )
