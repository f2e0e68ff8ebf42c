"""A run of a DAG of Airflow: 3 by the second version of its REST API, 2 by the first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

from fairtrial.delivery.events import Event
from fairtrial.delivery.hooks.http import Service
from fairtrial.delivery.hooks.naming import as_json, name_of
from fairtrial.errors import UsageError

if TYPE_CHECKING:
    import httpx

_NOT_FOUND = 404
_CONFLICT = 409


class Airflow:
    """See `Hook`. The run's id is made of the event's key, so Airflow itself refuses a second one."""

    def __init__(self, url: str, dag: str, token: Callable[[], str | None]) -> None:
        """token: read at each use; None for none. Raises UsageError."""
        self._url = url
        self._dag = dag
        self._token = token

    def start(self, event: Event, cut_off: Callable[[], bool]) -> str:
        """See `Hook`. The event is the run's `conf`."""
        del cut_off  # it does not take long
        service = Service("Airflow", self._url, token=self._token())
        run = name_of(event)
        answer = self._post(service, run, event)
        if answer.status_code == _CONFLICT:
            return f"run {run} of the DAG {self._dag} had been begun"
        if not answer.is_success:
            why = "; see spec.retrain.airflow.dag" if answer.status_code == _NOT_FOUND else ""
            raise service.refused(answer, f"to start the DAG {self._dag}", why)
        if service.content(answer).get("dag_run_id") != run:
            raise UsageError(f"{service.where} does not answer as Airflow does; see spec.retrain.airflow.url")
        return f"run {run} of the DAG {self._dag}"

    def _post(self, service: Service, run: str, event: Event) -> httpx.Response:
        wanted = {"dag_run_id": run, "conf": {"fairtrial": as_json(event)}}
        path = f"/dags/{quote(self._dag, safe='')}/dagRuns"
        # No logical date: two events of one moment are two runs, and no data interval is theirs.
        answer = service.ask("POST", f"/api/v2{path}", json={**wanted, "logical_date": None})
        is_older = answer.status_code == _NOT_FOUND and not service.ask("GET", "/api/v2/version").is_success
        return service.ask("POST", f"/api/v1{path}", json=wanted) if is_older else answer
