"""The Kubernetes backend: what is applied, in which order, and what is waited for.

Everything is server-side apply with a field manager of its own, never forced after the first time, so that
an edit by another hand is met and not overwritten. Capacity comes first: predictors that are new or grow are
made ready beside those that serve, then the route is moved, then what is no longer wanted is removed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fairtrial_graphs.backends.interface import (
    ArmEndpoint,
    Incident,
    Interfered,
    NotReady,
    Progress,
    Route,
    Serving,
)
from fairtrial_graphs.backends.kubernetes.addresses import Addresses
from fairtrial_graphs.backends.kubernetes.api import FIELD_MANAGER, Api, Object
from fairtrial_graphs.backends.kubernetes.changes import (
    beside,
    growing,
    in_namespace,
    leaving,
    owned,
    service,
    where,
)
from fairtrial_graphs.backends.kubernetes.claim import claim, release
from fairtrial_graphs.backends.kubernetes.errors import ApiError, Conflict
from fairtrial_graphs.backends.kubernetes.kinds import DESTINATION_RULE, SELDON_DEPLOYMENT, kind_of
from fairtrial_graphs.backends.kubernetes.marking import marked
from fairtrial_graphs.backends.kubernetes.observer import Observer
from fairtrial_graphs.backends.kubernetes.split import RouteName
from fairtrial_graphs.backends.kubernetes.standing import Standing
from fairtrial_graphs.backends.kubernetes.vigil import Vigil
from fairtrial_graphs.routes.gateway_api import gateway_api
from fairtrial_graphs.routes.istio import istio
from fairtrial_graphs.routes.routed import Routed
from fairtrial_graphs.seldon.types import SeldonDeployment

_TOLD_EVERY = 15.0  # seconds
_ROUTERS: Mapping[RouteName, Callable[[SeldonDeployment, Route, str | None], Routed]] = {
    "istio": istio,
    "gateway-api": gateway_api,
}


class KubernetesBackend:
    """One SeldonDeployment of a namespace, for one run.

    The observer knows of `standing.kinds_of(route)` there. It may be shared, and is not stopped by `close`.
    """

    def __init__(
        self,
        api: Api,
        observer: Observer,
        namespace: str,
        owner: str,
        *,
        route: RouteName | None = "istio",
        gateway: str | None = None,
        addresses: Addresses | None = None,
        take_over: bool = False,
        ready_timeout: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """owner: the run's id. gateway: what the route calls its gateway. ready_timeout: seconds of a wait.

        take_over: make ours the fields that somebody else has set, and what another run holds.
        """
        self._api = api
        self._observer = observer
        self._namespace = namespace
        self._owner = owner
        self._route: RouteName | None = route
        self._gateway = gateway
        self._addresses = addresses or Addresses()
        self._take_over = take_over
        self._ready_timeout = ready_timeout
        self._clock = clock
        self._standing = Standing(observer, route)
        self._where: tuple[str, str] | None = None  # namespace and name, once it is claimed
        self._vigil: Vigil | None = None

    @property
    def outlives_run(self) -> bool:
        """See `Backend`."""
        return True

    def apply(self, deployment: SeldonDeployment, route: Route, progress: Progress) -> Serving:
        """See `Backend.apply`. What it raises leaves the cluster as it then is; it may be called again."""
        routed = self._routed(in_namespace(deployment, self._namespace), route)
        manifest = routed.deployment.to_dict()
        with _in_words(*where(manifest)):
            vigil = self._claimed(*where(manifest))
            for note in () if vigil.begun else routed.notes:
                progress(note)
            found = self._api.get(SELDON_DEPLOYMENT, *where(manifest))
            wanted = marked(manifest, found)
            if (
                found is not None
                and self._is_ours(found)
                and self._is_served(wanted, found, routed.resources)
            ):
                vigil.remember(wanted, found)
            else:
                self._make_it_so(vigil, wanted, found, routed.resources, progress)
            self._remove_left_behind(wanted)
        return self._serving(routed.deployment, route)

    def incidents(self) -> Sequence[Incident]:
        """See `Backend.incidents`."""
        if self._vigil is None or not self._vigil.begun:
            return ()
        with _in_words(*self._held):
            return self._vigil.incidents()

    def release(self) -> None:
        """See `Backend.release`."""
        if self._where is not None:
            with _in_words(*self._held):
                release(self._api, *self._held, self._owner)

    def close(self) -> None:
        """See `Backend.close`: nothing runs on this machine."""

    # ---- the order of things

    def _make_it_so(
        self,
        vigil: Vigil,
        wanted: Object,
        found: Object | None,
        resources: Sequence[Mapping[str, Any]],
        progress: Progress,
    ) -> None:
        grow = growing(wanted, found)
        if found is not None and grow and leaving(wanted, found):
            progress(f"making {', '.join(grow)} ready beside what serves")
            self._put(vigil, beside(wanted, found))
            self._await(vigil, lambda: self._standing.unready(wanted), progress)
            grow = []
        # A route of our own goes to what is ready, before what is no longer wanted is removed.
        if found is not None and not grow:
            self._put_all(resources, found)
        stands = self._put(vigil, wanted)
        self._await(vigil, lambda: self._standing.unready(wanted), progress)
        if grow:
            self._put_all(resources, stands)
        self._await(vigil, lambda: self._standing.unsettled(wanted), progress)

    def _put(self, vigil: Vigil, wanted: Object) -> Object:
        stands = self._api.apply(SELDON_DEPLOYMENT, wanted, force=self._may_force(vigil))
        vigil.remember(wanted, stands)
        return stands

    def _may_force(self, vigil: Vigil) -> bool:
        return self._take_over and not vigil.begun

    def _put_all(self, resources: Sequence[Mapping[str, Any]], owner: Object) -> None:
        """Routes of our own. The cluster removes them with the deployment that they belong to."""
        for resource in resources:
            manifest = owned(resource, self._namespace, owner)
            self._api.apply(kind_of(resource["kind"]), manifest, force=self._take_over)

    def _await(self, vigil: Vigil, why_not: Callable[[], str | None], progress: Progress) -> None:
        """Wait until `why_not` has nothing to say. Raises NotReady with what it said last, Interfered."""
        deadline = self._clock() + self._ready_timeout
        told, told_at = "", -_TOLD_EVERY
        while True:
            seen = self._observer.changes
            why = why_not()
            if why is None:
                return
            vigil.raise_if_edited()
            now = self._clock()
            if now > deadline:
                blind = f" ({self._observer.trouble})" if self._observer.trouble else ""
                called = why.partition(": ")[0]
                predictor = called if called in vigil.predictors else None
                sentence = f"not ready after {self._ready_timeout:g} s: {why}{blind}"
                raise NotReady(sentence, predictor=predictor)
            if now - told_at >= (1.0 if why != told else _TOLD_EVERY):
                progress(why)
                told, told_at = why, now
            self._observer.wait(seen, min(1.0, max(0.05, deadline - now)))

    # ---- whose it is

    @property
    def _held(self) -> tuple[str, str]:
        assert self._where is not None, "nothing was applied yet"
        return self._where

    def _claimed(self, namespace: str, name: str) -> Vigil:
        if self._vigil is None:
            claim(self._api, namespace, name, self._owner, take_over=self._take_over)
            self._where = namespace, name
            self._vigil = Vigil(self._api, self._observer, namespace, name)
        return self._vigil

    def _is_ours(self, found: Object) -> bool:
        managers = found["metadata"].get("managedFields") or ()
        return any(each.get("manager") == FIELD_MANAGER for each in managers)

    def _is_served(self, wanted: Object, found: Object, resources: Sequence[Mapping[str, Any]]) -> bool:
        try:
            return self._standing.is_served(wanted, found, resources)
        except NotReady:
            return False

    def _remove_left_behind(self, wanted: Mapping[str, Any]) -> None:
        """DestinationRules of predictors that are gone: Seldon Core leaves them behind."""
        if self._route != "istio":
            return
        namespace, name = where(wanted)
        kept = {service(wanted, predictor) for predictor in wanted["spec"]["predictors"]}
        rules, _ = self._api.list(DESTINATION_RULE, namespace)
        for rule in rules:
            owners = rule["metadata"].get("ownerReferences") or ()
            its = any(each["kind"] == SELDON_DEPLOYMENT.name and each["name"] == name for each in owners)
            if its and rule["metadata"]["name"] not in kept:
                self._api.delete(DESTINATION_RULE, namespace, rule["metadata"]["name"])

    # ---- where it is reached

    def _routed(self, deployment: SeldonDeployment, route: Route) -> Routed:
        if self._route is None:
            return Routed(deployment, (), ())
        return _ROUTERS[self._route](deployment, route, self._gateway)

    def _serving(self, deployment: SeldonDeployment, route: Route) -> Serving:
        arms = {
            predictor.name: ArmEndpoint(
                predictor.name, self._addresses.of_predictor(deployment, predictor), predictor.graph.name
            )
            for predictor in deployment.spec.predictors
        }
        split = self._addresses.of_split(deployment, self._route)
        return Serving(split, arms, route.revision, self._namespace, names_model=False)


@contextmanager
def _in_words(namespace: str, name: str) -> Generator[None]:
    try:
        yield
    except Conflict as error:
        raise Interfered(
            f"SeldonDeployment {namespace}/{name} is somebody else's: {error}. It is left as it is; have "
            f"them let go of these fields, or take them over with --take-over"
        ) from error
    except ApiError as error:
        raise NotReady(f"SeldonDeployment {namespace}/{name}: {error}") from error
