"""Every manifest that `fairtrial render` can produce: all strategies, steps, formats, planes and routes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

from fairtrial.errors import UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.reading import parse
from fairtrial.experiment.strategy import Strategy
from fairtrial.journal.entries import Effect
from fairtrial.planning.deployment import deployment_of
from fairtrial.planning.manifests import PLANES, ROUTES, manifests_of
from fairtrial.planning.models import Models
from fairtrial.planning.plan import Plan
from fairtrial.planning.steps import steps_of
from fairtrial_graphs.backends.interface import Route
from fairtrial_graphs.build import Arm, Autoscaling, Shadow, build
from fairtrial_graphs.documents import to_yaml
from fairtrial_graphs.seldon.types import SeldonDeployment
from fairtrial_servers.formats import FORMATS

#: Of the experiments that are tried with each strategy.
_ARMS: list[tuple[str, list[dict[str, Any]]]] = [
    (
        f.name,
        [{"name": name, "modelUri": f"s3://models/wine/{name}", "format": f.name} for name in ("v1", "v2")],
    )
    for f in FORMATS
] + [
    (
        "three-arms",
        [
            {"name": name, "modelUri": f"gs://models/wine/{name}", "implementation": "SKLEARN_SERVER"}
            for name in ("v1", "v2", "v3")
        ],
    )
]


@dataclass(frozen=True)
class Rendered:
    name: str  # what it is of, such as canary/three-arms/step-2/core2
    documents: tuple[Mapping[str, Any], ...]

    @property
    def text(self) -> str:
        """As `fairtrial render` prints it."""
        return to_yaml(self.documents)


def rendered() -> Iterator[Rendered]:
    """Each manifest once: what a plane refuses is left out."""
    for name, deployment, requests in served():
        for plane in PLANES:
            for route in (None, *ROUTES) if plane == "seldon" else (None,):
                try:
                    manifests = manifests_of(deployment, requests, plane=plane, route=route)
                except UsageError:
                    continue
                yield Rendered("/".join([name, plane, *([route] if route else [])]), manifests.documents)


def served() -> Iterator[tuple[str, SeldonDeployment, Route]]:
    """Everything that is to be served at some time of some experiment, and what `build` can make besides."""
    for strategy, value in strategies():
        for arms, experiment in experiments(strategy, value):
            plan = _plan(experiment)
            # A bandit has hundreds that differ in their weights only.
            for number, step in islice(enumerate(plan.steps), 3):
                yield f"{strategy}/{arms}/{step.revision}", *plan.at_step(number)
            if plan.keep_for is not None:
                yield f"{strategy}/{arms}/switch", *plan.switched(plan.candidates[0])
            for end in (Effect.PROMOTE, Effect.ROLLBACK):
                last = len(plan.steps) - 1
                yield f"{strategy}/{arms}/{end.value}", *plan.after(end, last, plan.candidates[0])
    yield "shadow/built/step-1", full(), Route("step-1")


def strategies() -> Iterator[tuple[str, Any]]:
    """The examples of each strategy that the experiment file has."""
    for field, info in Strategy.model_fields.items():
        for example in info.examples or []:
            yield info.alias or field, example


def experiments(strategy: str, value: Any) -> Iterator[tuple[str, Experiment]]:
    for arms, (baseline, *candidates) in _ARMS:
        data = {
            "apiVersion": "fairtrial.dev/v1alpha1",
            "kind": "Experiment",
            "metadata": {"name": "wine"},
            "spec": {
                "baseline": baseline,
                "candidates": candidates,
                "strategy": {strategy: value},
                "metrics": [{"name": "errorRate", "role": "objective"}],
            },
        }
        if strategy not in ("shadow", "blueGreen") or len(candidates) == 1:
            source = f"{strategy}-{arms}"
            yield arms, parse(json.dumps(data).encode(), source=source, folder=Path(), check_files=False)


def full() -> SeldonDeployment:
    """With all that `build` can say."""
    first, second, third = (
        Arm(
            name,
            f"s3://models/{name}",
            "FAIRTRIAL_ONNX_SERVER",
            replicas=2,
            resources={"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
            autoscaling=Autoscaling(max_replicas=4, min_replicas=2, target_cpu=70),
            parameters={"threshold": "0.5"},
            env={"OMP_NUM_THREADS": "1"},
            service_account="models",
            env_secret="rclone",
            logger_url="http://broker",
        )
        for name in ("v1", "v2", "v3")
    )
    return build(
        "wine",
        [first, second],
        {"v1": 90, "v2": 10},
        shadow=Shadow(third, 20),
        namespace="default",
        labels={"team": "wine"},
        annotations={"note": "yes"},
    )


def _plan(experiment: Experiment) -> Plan:
    # Claims need the data that is to be replayed, and manifests need no claims.
    claims = cast(Any, None)
    models = Models(Path())
    return Plan(experiment, deployment_of(experiment, models), steps_of(experiment), claims, models)
