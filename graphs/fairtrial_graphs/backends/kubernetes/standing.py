"""How a SeldonDeployment stands in the cluster: what is not ready yet, and what still serves as before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairtrial_graphs.backends.interface import NotReady
from fairtrial_graphs.backends.kubernetes.api import Object
from fairtrial_graphs.backends.kubernetes.changes import service, where
from fairtrial_graphs.backends.kubernetes.drift import differences
from fairtrial_graphs.backends.kubernetes.kinds import (
    DEPLOYMENT,
    POD,
    SELDON_DEPLOYMENT,
    SERVICE,
    Kind,
    kind_of,
)
from fairtrial_graphs.backends.kubernetes.observer import Observer
from fairtrial_graphs.backends.kubernetes.readiness import (
    deployments_of,
    has_failed,
    pod_troubles,
    pods_of,
    waiting,
)
from fairtrial_graphs.backends.kubernetes.split import (
    ROUTE_KINDS,
    RouteName,
    waiting_for_split,
    wanted_split,
)

Manifest = Mapping[str, Any]


def kinds_of(route: RouteName | None) -> tuple[Kind, ...]:
    """The kinds that an observer must know of for a backend with this route."""
    return (SELDON_DEPLOYMENT, DEPLOYMENT, SERVICE, POD, *((ROUTE_KINDS[route],) if route else ()))


class Standing:
    """Read from an observer that knows of `kinds_of(route)`."""

    def __init__(self, observer: Observer, route: RouteName | None) -> None:
        self._observer = observer
        self._route: RouteName | None = route

    def unready(self, wanted: Manifest) -> str | None:
        """The first predictor that is not ready, and why, beginning with its name; None if all are.

        Raises NotReady when Kubernetes has given it up.
        """
        namespace, name = where(wanted)
        children = self._deployments(wanted)
        for predictor in wanted["spec"]["predictors"]:
            called, deployments = predictor["name"], children[predictor["name"]]
            has_service = self._observer.get(SERVICE, namespace, service(wanted, predictor)) is not None
            why = waiting(predictor, deployments, has_service)
            if why is None:
                continue
            pods = pods_of(deployments, self._observer.of_deployment(POD, namespace, name))
            troubles = "; ".join(pod_troubles(pods))
            sentence = f"{called}: {why}" + (f": {troubles}" if troubles else "")
            if has_failed(deployments):
                raise NotReady(f"{sentence}; Kubernetes has given up on it", predictor=called)
            return sentence
        return None

    def unsettled(self, wanted: Manifest) -> str | None:
        """What still serves as it did before, in words; None if nothing does."""
        namespace, name = where(wanted)
        route = self._observer.get(ROUTE_KINDS[self._route], namespace, name) if self._route else None
        if why := waiting_for_split(self._route, route, wanted_split(wanted)):
            return why
        kept = [each["metadata"]["name"] for of in self._deployments(wanted).values() for each in of]
        there = self._observer.of_deployment(DEPLOYMENT, namespace, name)
        old = [each["metadata"]["name"] for each in there if each["metadata"]["name"] not in kept]
        return f"{', '.join(old)} is still there" if old else None

    def is_served(self, wanted: Manifest, found: Object, resources: Sequence[Manifest]) -> bool:
        """Whether nothing need be done: a resumed run asks this of what an earlier process has made."""
        if list(differences(wanted["spec"], found["spec"])):
            return False
        for resource in resources:
            kind, name = kind_of(resource["kind"]), resource["metadata"]["name"]
            stands = self._observer.get(kind, where(wanted)[0], name)
            if stands is None or list(differences(resource["spec"], stands["spec"])):
                return False
        return self.unready(wanted) is None and self.unsettled(wanted) is None

    def _deployments(self, wanted: Manifest) -> dict[str, list[Manifest]]:
        namespace, name = where(wanted)
        predictors = [each["name"] for each in wanted["spec"]["predictors"]]
        there = self._observer.of_deployment(DEPLOYMENT, namespace, name)
        return deployments_of(name, predictors, there)
