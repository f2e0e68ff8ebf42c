"""Nightly: the newest version of a model is tried against the one in service, and packed if it is better.

The folder of the project comes from the environment: `FAIRTRIAL_PROJECT`, as `fairtrial init` writes one.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG

from fairtrial_airflow.operators.model import FairtrialPackOperator, FairtrialScoreOperator
from fairtrial_airflow.operators.run import FairtrialRunOperator
from fairtrial_airflow.sensors import FairtrialVerdictSensor

_PROJECT = os.environ.get("FAIRTRIAL_PROJECT", "/srv/fairtrial")
#: The command has an environment of its own: its packages need not agree with Airflow's.
_COMMON: dict[str, Any] = {"executable": os.environ.get("FAIRTRIAL_COMMAND", "fairtrial"), "cwd": _PROJECT}

with DAG(
    "fairtrial_trial",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["fairtrial"],
):
    trial = FairtrialRunOperator(
        task_id="trial",
        experiment="experiment.yaml",
        report_url="https://reports.example.com/{run}/report.html",
        **_COMMON,
    )
    recorded = FairtrialVerdictSensor(
        task_id="recorded",
        folder="{{ ti.xcom_pull(task_ids='trial')['folder'] }}",
        poke_interval=5,
    )
    score = FairtrialScoreOperator(
        task_id="score",
        model="models/v2",
        data="holdout.parquet",
        out="scored.parquet",
        arguments=["--target", "target"],
        **_COMMON,
    )
    pack = FairtrialPackOperator(
        task_id="pack", model="models/v2", image="packed.tar", arguments=["--artifact"], **_COMMON
    )
    trial.set_downstream(recorded)
    recorded.set_downstream([score, pack])
