"""An Experiment resource as the API server has it, and what people ask of it by annotation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairtrial_graphs.backends.kubernetes.keeping import shared
from fairtrial_graphs.backends.kubernetes.kinds import Kind

#: Namespace and name.
Key = tuple[str, str]

EXPERIMENT = Kind("Experiment", "fairtrial.dev/v1alpha1", "experiments")
#: Keeps a resource until its traffic is back at the baseline.
FINALIZER = "fairtrial.dev/baseline"

PAUSE = "fairtrial.dev/pause"
ABORT = "fairtrial.dev/abort"
APPROVE = "fairtrial.dev/approve"
RETRY = "fairtrial.dev/retry"
#: Take what others have set on the SeldonDeployment, or another run holds.
TAKE_OVER = "fairtrial.dev/take-over"
#: Taken away once they are heard; a pause stays until somebody takes it away.
REQUESTS = (ABORT, APPROVE, RETRY)
_NO = ("false", "no", "0")
_YES = ("true", "yes", "1")


@dataclass(frozen=True)
class Resource:
    """One version of one Experiment."""

    raw: Mapping[str, Any]

    @property
    def key(self) -> Key:
        return self.metadata["namespace"], self.metadata["name"]

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self.raw["metadata"]

    @property
    def uid(self) -> str:
        return self.metadata["uid"]

    @property
    def version(self) -> str:
        return self.metadata["resourceVersion"]

    @property
    def generation(self) -> int:
        """Grows with every change of the spec."""
        return int(self.metadata["generation"])

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.raw["spec"]

    @property
    def status(self) -> Mapping[str, Any]:
        return self.raw.get("status") or {}

    @property
    def outline(self) -> Resource:
        """What is decided by, without spec, journal and verdict: hundreds of these are in memory at once."""
        spec = {name: self.spec[name] for name in ("deployment",) if name in self.spec}
        status = {name: self.status[name] for name in ("observedGeneration",) if name in self.status}
        if "run" in self.status:
            run = self.status["run"]
            status["run"] = {name: run[name] for name in ("ended", "kept") if name in run}
        return Resource(
            shared({"metadata": _without_managers(self.metadata), "spec": spec, "status": status})
        )

    @property
    def compact(self) -> Resource:
        """The same without who has set which field."""
        return Resource(shared({**self.raw, "metadata": _without_managers(self.metadata)}))

    @property
    def deleting(self) -> bool:
        return "deletionTimestamp" in self.metadata

    @property
    def held(self) -> bool:
        """Whether its deletion waits for us."""
        return FINALIZER in (self.metadata.get("finalizers") or ())

    @property
    def deployment(self) -> str:
        """The name of the SeldonDeployment that it is about."""
        return self.spec.get("deployment") or self.metadata["name"]

    def is_older_than(self, other: Resource) -> bool:
        """Whether a watch brings late what is known to be past: versions of one object count up."""
        return (
            self.uid == other.uid
            and self.version.isdigit()
            and other.version.isdigit()
            and int(self.version) < int(other.version)
        )

    def asks(self, annotation: str) -> bool:
        """Whether somebody has annotated it so, and not with a no."""
        value = (self.metadata.get("annotations") or {}).get(annotation)
        return value is not None and value.strip().lower() not in _NO

    def said(self, annotation: str) -> str | None:
        """By whom, where the annotation says more than yes."""
        value = ((self.metadata.get("annotations") or {}).get(annotation) or "").strip()
        return value if value and value.lower() not in _YES else None

    @property
    def requests(self) -> tuple[str, ...]:
        """The annotations that are to be taken away once they are heard."""
        return tuple(each for each in REQUESTS if each in (self.metadata.get("annotations") or {}))


def _without_managers(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metadata.items() if name != "managedFields"}


def words(key: Key) -> str:
    return "/".join(key)
