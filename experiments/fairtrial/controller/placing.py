"""Where a run's arms are: on this machine, or on a cluster. Said once, and kept in the journal."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fairtrial_graphs.backends.address import Address
from fairtrial_graphs.backends.interface import Backend, NotReady
from fairtrial_graphs.backends.local.backend import LocalBackend
from fairtrial_graphs.backends.urls import UrlBackend
from fairtrial_loadtests.credentials import headers_for
from fairtrial_loadtests.errors import BadLoadError
from fairtrial_servers.launch import model_server

from fairtrial.errors import NotReadyError, UsageError
from fairtrial.journal.folder import RunFolder
from fairtrial.planning.plan import Plan

if TYPE_CHECKING:
    from fairtrial_graphs.backends.kubernetes.api import Api
    from fairtrial_graphs.backends.kubernetes.split import RouteName

#: Seconds that a process on this machine may take to be ready.
_PATIENCE = 60.0
#: What brings requests to the arms; `none`: each arm's own Service alone.
ClusterRoute = Literal["istio", "gateway-api", "none"]


@dataclass(frozen=True)
class Cluster:
    """A namespace of a cluster with Seldon Core, and how its services are reached from here."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None  # the context's unless said
    route: ClusterRoute = "istio"
    gateway: str | None = None  # what the route calls its gateway
    gateway_url: str | None = None  # base URL; the gateway's own name in the cluster unless said
    service_url: str | None = None  # text with {service} and {namespace}; the cluster's own names unless said
    load_image: str | None = None  # of the pods that send the load; unless said, it is not sent from there
    holder: str | None = None  # who is said to hold the SeldonDeployment; the run unless said
    ready_timeout: float = 600.0  # seconds
    take_over: bool = False

    def as_json(self) -> dict[str, Any]:
        """What a resumed run needs. To take over is said anew each time."""
        return {
            key: value for key, value in asdict(replace(self, take_over=False)).items() if value is not None
        }


def placed_in(started: Mapping[str, Any], *, take_over: bool) -> Cluster | None:
    """By the journal's first entry; None on this machine."""
    recorded = started.get("cluster")
    return replace(Cluster(**recorded), take_over=take_over) if recorded is not None else None


@contextmanager
def opened_backend(
    cluster: Cluster | None,
    plan: Plan,
    folder: RunFolder,
    port: int | None,
    patience: float | None = None,
) -> Generator[Backend]:
    """The backend of a run. What it needs on this machine ends with the block. Raises NotReadyError.

    patience: seconds that the arms may take to be ready, if less than they have otherwise.
    """
    if plan.elsewhere:
        yield _addressed(plan)
        return
    if cluster is None:
        yield LocalBackend(
            folder.backend,
            plan.models.launcher(model_server),
            front_port=port,
            ready_timeout=min(_PATIENCE, patience or _PATIENCE),
        )
        return
    patient = replace(cluster, ready_timeout=min(cluster.ready_timeout, patience or cluster.ready_timeout))
    with cluster_backend(patient, cluster.holder or folder.id) as backend:
        yield backend


@contextmanager
def cluster_backend(cluster: Cluster, holder: str) -> Generator[Backend]:
    """The backend of a cluster. holder: who is said to hold what is applied. Raises NotReadyError."""
    from fairtrial_graphs.backends.kubernetes.addresses import SERVICES, Addresses
    from fairtrial_graphs.backends.kubernetes.backend import KubernetesBackend
    from fairtrial_graphs.backends.kubernetes.errors import ApiError
    from fairtrial_graphs.backends.kubernetes.observer import Observer
    from fairtrial_graphs.backends.kubernetes.standing import kinds_of

    route: RouteName | None = None if cluster.route == "none" else cluster.route
    api, namespace = connected(cluster)
    try:
        observer = Observer(api, kinds_of(route), namespace)
        observer.start()
    except ApiError as error:
        raise NotReadyError(f"the cluster: {error}") from error
    try:
        yield KubernetesBackend(
            api,
            observer,
            namespace,
            holder,
            route=route,
            gateway=cluster.gateway,
            addresses=Addresses(cluster.gateway_url, cluster.service_url or SERVICES),
            take_over=cluster.take_over,
            ready_timeout=cluster.ready_timeout,
        )
    finally:
        observer.stop()


def _addressed(plan: Plan) -> UrlBackend:
    """Raises UsageError for headers in the environment that cannot be sent."""
    spec = plan.experiment.spec
    arms = {arm.name: Address.read(arm.url) for arm in (spec.baseline, *spec.candidates) if arm.url}
    try:
        headers = {name: headers_for(name) for name in arms}
    except BadLoadError as error:
        raise UsageError(str(error)) from error
    return UrlBackend(arms, headers.__getitem__)


def connected(cluster: Cluster) -> tuple[Api, str]:
    """A client, and the namespace. Raises NotReadyError."""
    from fairtrial_graphs.backends.kubernetes.api import Api
    from fairtrial_graphs.backends.kubernetes.connection import connect

    try:
        client, default = connect(Path(cluster.kubeconfig) if cluster.kubeconfig else None, cluster.context)
    except NotReady as error:
        raise NotReadyError(f"the cluster: {error}") from error
    return Api(client), cluster.namespace or default


def check_fetchable(plan: Plan) -> None:
    """Raises UsageError for models that are files of this machine, which no cluster can fetch."""
    here = [
        f"{predictor.name} ({node.modelUri})"
        for predictor in plan.deployment.spec.predictors
        for _, node in predictor.graph.walk("")
        if (node.modelUri or "").startswith("file:")
    ]
    if here:
        raise UsageError(
            f"a cluster cannot fetch files of this machine: {', '.join(here)}; put the models where it can "
            f"(s3://, az://, models:/ and the like) and say so in modelUri"
        )
