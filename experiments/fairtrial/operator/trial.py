"""What is on trial: from the spec of a resource to a plan, or to why it cannot be run on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fairtrial_servers.addresses import is_remote

from fairtrial.errors import UsageError
from fairtrial.experiment.checking import validated
from fairtrial.experiment.model import API_VERSION, KIND, Experiment
from fairtrial.planning.models import Models
from fairtrial.planning.plan import Plan, plan_of


def plan_in(spec: Mapping[str, Any], name: str, folder: Path) -> Plan:
    """The plan of a spec. Raises UsageError with every mistake, and as `plan_of` does.

    folder: where the files are that it may name.
    """
    data = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": dict(spec)}
    read = validated(data, folder)
    if not isinstance(read, Experiment):
        told = sorted(f"{'.'.join(map(str, mistake.path))}: {mistake.message}" for mistake in read)
        raise UsageError("; ".join(told))
    if local := list(_of_one_machine(read)):
        raise UsageError("; ".join(local))
    return plan_of(read, Models(folder))


def _of_one_machine(experiment: Experiment) -> Iterator[str]:
    spec = experiment.spec
    arms = [("spec.baseline", spec.baseline)]
    arms += [(f"spec.candidates.{i}", candidate) for i, candidate in enumerate(spec.candidates)]
    for path, arm in arms:
        if arm.model_uri is not None and not is_remote(arm.model_uri):
            yield (
                f"{path}.modelUri: {arm.model_uri} is a file of one machine, which no cluster can fetch; "
                "put it where the cluster reaches it, such as s3://"
            )
