"""What happens to a SeldonDeployment on trial by other hands: edits, its deletion, containers that end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fairtrial_graphs.backends.interface import Incident, Interfered
from fairtrial_graphs.backends.kubernetes.api import FIELD_MANAGER, Api
from fairtrial_graphs.backends.kubernetes.drift import differences
from fairtrial_graphs.backends.kubernetes.kinds import POD, SELDON_DEPLOYMENT
from fairtrial_graphs.backends.kubernetes.observer import Observer
from fairtrial_graphs.backends.kubernetes.readiness import restarts


class Vigil:
    """Over one SeldonDeployment, from the first time that it was applied."""

    def __init__(self, api: Api, observer: Observer, namespace: str, name: str) -> None:
        self._api = api
        self._observer = observer
        self._where = namespace, name
        self._applied: Mapping[str, Any] | None = None  # the manifest that stands as we left it
        self._generation = 0  # of it
        self._restarts: dict[tuple[str, str], tuple[int, str]] = {}
        self._seen = -1  # changes that the observer had told of

    @property
    def begun(self) -> bool:
        """Whether anything was applied yet."""
        return self._applied is not None

    @property
    def predictors(self) -> list[str]:
        """Names of what was applied."""
        return [each["name"] for each in self._applied["spec"]["predictors"]] if self._applied else []

    def remember(self, wanted: Mapping[str, Any], stands: Mapping[str, Any]) -> None:
        """This was applied, and that is how the server has it."""
        self._applied = wanted
        self._generation = stands["metadata"]["generation"]

    def incidents(self) -> list[Incident]:
        """Containers that were restarted since the last call. Raises Interfered."""
        changes = self._observer.changes
        if changes == self._seen:
            return []
        self.raise_if_edited()
        self._seen = changes
        return list(self._restarted())

    def raise_if_edited(self) -> None:
        """Raises Interfered if what stands is newer than what we applied, and says something else."""
        if self._applied is None:
            return
        stands = self._observer.get(SELDON_DEPLOYMENT, *self._where)
        called = f"SeldonDeployment {'/'.join(self._where)}"
        if stands is None:
            # The observer may not have heard yet that we made it.
            if self._api.get(SELDON_DEPLOYMENT, *self._where) is None:
                raise Interfered(f"{called} was deleted during the trial")
            return
        if stands["metadata"].get("deletionTimestamp"):
            raise Interfered(f"{called} was deleted during the trial")
        generation = stands["metadata"]["generation"]
        if generation <= self._generation:
            return
        if edited := list(differences(self._applied["spec"], stands["spec"])):
            raise Interfered(
                f"{called} was changed by {_last_editor(stands)} during the trial: {', '.join(edited[:5])}. "
                f"It is left as it is; change it back and resume the run, or abort it"
            )
        self._generation = generation

    def _restarted(self) -> Iterator[Incident]:
        namespace, name = self._where
        now = restarts(self._observer.of_deployment(POD, namespace, name))
        for key, (count, why) in now.items():
            if count > self._restarts.get(key, (0, ""))[0]:
                pod, container = key
                predictor = next(
                    (each for each in self.predictors if pod.startswith(f"{name}-{each}-")), None
                )
                yield Incident(
                    predictor, f"container {container} of {pod} was restarted: {why}", restarted=True
                )
        self._restarts = now


def _last_editor(stands: Mapping[str, Any]) -> str:
    others = [
        each
        for each in stands["metadata"].get("managedFields") or ()
        if each.get("manager") != FIELD_MANAGER and each.get("subresource") != "status"
    ]
    latest = max(others, key=lambda each: each.get("time", ""), default=None)
    return str(latest["manager"]) if latest else "somebody"
