"""A run of a pipeline of Kubeflow Pipelines, by version v2beta1 of its API."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from fairtrial.delivery.events import Event
from fairtrial.delivery.hooks.http import Service
from fairtrial.delivery.hooks.naming import idempotency_key, name_of

_API = "/apis/v2beta1"


class Kubeflow:
    """See `Hook`. Kubeflow takes any number of runs of one name, so it is asked for ours before one is made.

    Between the two somebody else could begin the same; only one `fairtrial watch` holds a pipeline.
    """

    def __init__(
        self, url: str, pipeline: str, experiment: str | None, token: Callable[[], str | None]
    ) -> None:
        """pipeline, experiment: their names. token: read at each use; None for none. Raises UsageError."""
        self._url = url
        self._pipeline = pipeline
        self._experiment = experiment
        self._token = token

    def start(self, event: Event, cut_off: Callable[[], bool]) -> str:
        """See `Hook`. The run is named after the event's key, and described by it."""
        del cut_off  # it does not take long
        service = Service("Kubeflow Pipelines", self._url, token=self._token())
        name = name_of(event)
        said = f"run {name} of the pipeline {self._pipeline}"
        if _first(self._get(service, "/runs", _named(name)), "runs"):
            return f"{said} had been begun"
        answer = service.ask("POST", f"{_API}/runs", json=self._run(service, name, event))
        if not answer.is_success:
            raise service.refused(answer, f"to run the pipeline {self._pipeline}")
        return f"{said} ({service.content(answer).get('run_id')})"

    def _run(self, service: Service, name: str, event: Event) -> dict[str, Any]:
        pipeline = self._get(
            service, f"/pipelines/names/{quote(self._pipeline, safe='')}", {}, "; see spec.retrain.kubeflow"
        ).get("pipeline_id")
        newest = {"page_size": "1", "sort_by": "created_at desc"}
        version = _first(self._get(service, f"/pipelines/{pipeline}/versions", newest), "pipeline_versions")
        if version is None:
            raise service.lacking(f"the pipeline {self._pipeline} has no version")
        run: dict[str, Any] = {
            "display_name": name,
            "description": f"fairtrial: {event.happening.value}, {idempotency_key(event)}",
            "pipeline_version_reference": {
                "pipeline_id": pipeline,
                "pipeline_version_id": version["pipeline_version_id"],
            },
        }
        if self._experiment is not None:
            experiment = _first(self._get(service, "/experiments", _named(self._experiment)), "experiments")
            if experiment is None:
                raise service.lacking(f"there is no experiment {self._experiment}")
            run["experiment_id"] = experiment["experiment_id"]
        return run

    def _get(
        self, service: Service, path: str, params: Mapping[str, str], why: str = ""
    ) -> Mapping[str, Any]:
        answer = service.ask("GET", f"{_API}{path}", params=params)
        if not answer.is_success:
            raise service.refused(answer, f"for {path}", why)
        return service.content(answer)


def _named(name: str) -> dict[str, str]:
    predicate = {"key": "display_name", "operation": "EQUALS", "string_value": name}
    return {"filter": json.dumps({"predicates": [predicate]}), "page_size": "1"}


def _first(answer: Mapping[str, Any], field: str) -> Mapping[str, Any] | None:
    found = answer.get(field) or []  # an empty list is left out
    return found[0] if found else None
