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
        if _id(_first(self._get(service, "/runs", _named(name)), "runs"), "run_id"):
            return f"{said} had been begun"
        answer = service.ask("POST", f"{_API}/runs", json=self._run(service, name, event))
        if not answer.is_success:
            raise service.refused(answer, f"to run the pipeline {self._pipeline}")
        made = _id(service.content(answer), "run_id")
        if made is None:
            raise service.lacking("it does not answer as Kubeflow Pipelines does")
        return f"{said} ({made})"

    def _run(self, service: Service, name: str, event: Event) -> dict[str, Any]:
        named = f"/pipelines/names/{quote(self._pipeline, safe='')}"
        pipeline = _id(self._get(service, named, {}, "; see spec.retrain.kubeflow"), "pipeline_id")
        if pipeline is None:
            raise service.lacking("it does not answer as Kubeflow Pipelines does")
        newest = {"page_size": "1", "sort_by": "created_at desc"}
        versions = self._get(service, f"/pipelines/{quote(pipeline, safe='')}/versions", newest)
        version = _id(_first(versions, "pipeline_versions"), "pipeline_version_id")
        if version is None:
            raise service.lacking(f"the pipeline {self._pipeline} has no version")
        run: dict[str, Any] = {
            "display_name": name,
            "description": f"fairtrial: {event.happening.value}, {idempotency_key(event)}",
            "pipeline_version_reference": {
                "pipeline_id": pipeline,
                "pipeline_version_id": version,
            },
        }
        if self._experiment is not None:
            known = self._get(service, "/experiments", _named(self._experiment))
            experiment = _id(_first(known, "experiments"), "experiment_id")
            if experiment is None:
                raise service.lacking(f"there is no experiment {self._experiment}")
            run["experiment_id"] = experiment
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


def _first(answer: Mapping[str, Any], field: str) -> object:
    found = answer.get(field)  # an empty list is left out
    return found[0] if isinstance(found, list) and found else None


def _id(thing: object, field: str) -> str | None:
    found = thing.get(field) if isinstance(thing, Mapping) else None
    return found if isinstance(found, str) and found else None
