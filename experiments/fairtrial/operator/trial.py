"""What is on trial: from the spec of a resource to a plan, or to why it cannot be run on a cluster."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairtrial_graphs.backends.kubernetes.changes import in_namespace
from fairtrial_servers.addresses import is_remote

from fairtrial.errors import UsageError
from fairtrial.experiment.checking import validated
from fairtrial.experiment.model import API_VERSION, KIND, Experiment
from fairtrial.planning.models import Models
from fairtrial.planning.plan import Plan, plan_of

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def plan_in(
    spec: Mapping[str, Any], namespace: str, name: str, folder: Path, deployment: Mapping[str, Any] | None
) -> Plan:
    """The plan of a spec. Raises UsageError with every mistake, and as `plan_of` does.

    folder: an empty one. deployment: the SeldonDeployment that the spec names, None for none.
    """
    if (named := spec.get("deployment")) is not None:
        _write_deployment(str(named), namespace, folder, deployment)
    data = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": dict(spec)}
    read = validated(data, folder, Experiment)
    if not isinstance(read, Experiment):
        told = sorted(f"{'.'.join(map(str, mistake.path))}: {mistake.message}" for mistake in read)
        raise UsageError("; ".join(told))
    if local := list(_of_one_machine(read)):
        raise UsageError("; ".join(local))
    plan = plan_of(read, Models(folder))
    return replace(plan, deployment=in_namespace(plan.deployment, namespace))


def names_deployment(spec: Mapping[str, Any]) -> str | None:
    """The SeldonDeployment that a spec is about where it makes none itself; None also for what is no name."""
    named = spec.get("deployment")
    return named if named is not None and _NAME.fullmatch(named) else None


def _write_deployment(named: str, namespace: str, folder: Path, deployment: Mapping[str, Any] | None) -> None:
    """Where a file beside the experiment's would be."""
    if names_deployment({"deployment": named}) is None:
        raise UsageError(
            f"spec.deployment: on a cluster this is the name of a SeldonDeployment of the same namespace, "
            f"not {named}"
        )
    if deployment is None:
        raise UsageError(f"spec.deployment: there is no SeldonDeployment {namespace}/{named}")
    (folder / named).write_text(json.dumps(deployment), encoding="utf-8")


def _of_one_machine(experiment: Experiment) -> Iterator[str]:
    spec = experiment.spec
    arms = [("spec.baseline", spec.baseline)]
    arms += [(f"spec.candidates.{i}", candidate) for i, candidate in enumerate(spec.candidates)]
    for path, arm in arms:
        if arm.url is not None:
            yield f"{path}.url: the operator tries arms that it deploys; `fairtrial run` sends load to others"
        if arm.model_uri is not None and not is_remote(arm.model_uri):
            yield (
                f"{path}.modelUri: {arm.model_uri} is a file of one machine, which no cluster can fetch; "
                "put it where the cluster reaches it, such as s3://"
            )
