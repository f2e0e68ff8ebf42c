"""The operator as a process: it waits to lead, works while it leads, and ends when it no longer does."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairtrial_graphs.backends.interface import NotReady
from fairtrial_graphs.backends.kubernetes.api import Api
from fairtrial_graphs.backends.kubernetes.backend import KubernetesBackend
from fairtrial_graphs.backends.kubernetes.connection import connect
from fairtrial_graphs.backends.kubernetes.errors import ApiError
from fairtrial_graphs.backends.kubernetes.observer import Observer
from fairtrial_graphs.backends.kubernetes.split import RouteName
from fairtrial_graphs.backends.kubernetes.standing import kinds_of

from fairtrial.delivery.showing import PIPELINE
from fairtrial.errors import NotReadyError
from fairtrial.operator.events import Events
from fairtrial.operator.feed import FeedFactory
from fairtrial.operator.footprint import have_many_files_open, leave_pandas_out
from fairtrial.operator.health import HealthServer
from fairtrial.operator.lease import Leadership
from fairtrial.operator.pipelines.keeper import Keeper
from fairtrial.operator.readiness import down_arms
from fairtrial.operator.resource import EXPERIMENT
from fairtrial.operator.services import Services
from fairtrial.operator.supervisor import Supervisor
from fairtrial.operator.watching import watch

_log = logging.getLogger(__name__)
_CONNECTIONS = 32
_STOPPING = 20.0  # seconds that runs get to leave off


@dataclass(frozen=True)
class Options:
    """What the process is told."""

    namespaces: Sequence[str] = ()  # all, if none is named
    lease_namespace: str | None = None  # where the lease is; that of the pod or the context unless said
    lease_duration: float = 15.0  # seconds
    host: str = "127.0.0.1"
    port: int = 8080
    kubeconfig: Path | None = None
    context: str | None = None
    route: RouteName | None = "istio"
    gateway: str | None = None
    ready_timeout: float = 600.0  # seconds for each wait
    pipelines: bool = True  # whether Pipelines are looked after
    image: str | None = None  # of pipelines' pods, where they name none
    settings: Mapping[str, Any] | None = None  # further fields of Services


def serve(options: Options, new_feed: FeedFactory, ended: threading.Event | None = None) -> None:
    """Work until a signal, or `ended`. Raises NotReadyError where the cluster cannot be worked on.

    new_feed: where a run's observations come from.
    """
    leave_pandas_out()
    have_many_files_open()
    ended = ended or threading.Event()
    identity = f"{os.environ.get('POD_NAME') or socket.gethostname()}-{secrets.token_hex(4)}"
    try:
        client, here = connect(options.kubeconfig, options.context)
    except NotReady as error:
        raise NotReadyError(str(error)) from error
    client.rest_client.pool_manager.connection_pool_kw["maxsize"] = _CONNECTIONS
    lease = Leadership(
        Api(client, patience=2.0),
        options.lease_namespace or here,
        identity,
        duration=options.lease_duration,
    )
    working = _Working()
    with ExitStack() as stack:
        stack.callback(client.rest_client.pool_manager.clear)
        health = HealthServer(options.host, options.port, working.is_ready, working.gauges)
        health.start()
        stack.callback(health.stop)
        _log.info("%s waits to lead; %s:%d answers", identity, options.host, health.port)
        working.waits = True
        if not lease.acquire(ended.is_set):
            return
        stack.callback(lease.release)
        _log.info("%s leads", identity)
        threading.Thread(target=_end_when_lost, args=(lease, ended), daemon=True).start()
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fairtrial-operator-")))
        api = Api(client)
        try:
            observers = _observers(api, options)
            for observer in observers.values():
                observer.start()
                stack.callback(observer.stop)
            there = [item for namespace in observers for item in api.list(EXPERIMENT, namespace)[0]]
        except ApiError as error:
            raise NotReadyError(str(error)) from error
        services = _services(api, identity, lease, observers, options, new_feed, scratch)
        supervisor = Supervisor(services)
        supervisor.start(there)
        stack.callback(supervisor.stop, _STOPPING)
        working.supervisor = supervisor
        if options.pipelines:
            keeper = _keeper(api, services, observers, options)
            keeper.start()
            stack.callback(keeper.stop, _STOPPING)
        watch(client, options.namespaces, supervisor.observe, ended)
    if lease.lost():
        raise NotReadyError(f"{identity} no longer leads: another replica goes on with its runs")


class _Working:
    """What the kubelet is told."""

    def __init__(self) -> None:
        self.waits = False
        self.supervisor: Supervisor | None = None

    def is_ready(self) -> bool:
        """A replica that waits to lead is ready to."""
        return self.waits

    def gauges(self) -> dict[str, float]:
        leads = self.supervisor is not None
        return {
            "fairtrial_operator_leads": float(leads),
            "fairtrial_operator_runs": float(self.supervisor.running if self.supervisor else 0),
        }


def _observers(api: Api, options: Options) -> dict[str | None, Observer]:
    kinds = kinds_of(options.route)
    return {namespace: Observer(api, kinds, namespace) for namespace in options.namespaces or (None,)}


def _services(
    api: Api,
    identity: str,
    lease: Leadership,
    observers: Mapping[str | None, Observer],
    options: Options,
    new_feed: FeedFactory,
    scratch: Path,
) -> Services:
    settings = dict(options.settings or {})
    now = settings.get("now")

    def observer(namespace: str) -> Observer:
        return observers[namespace if namespace in observers else None]

    def new_backend(
        namespace: str, run: str, take_over: bool, clock: Callable[[], float]
    ) -> KubernetesBackend:
        return KubernetesBackend(
            api,
            observer(namespace),
            namespace,
            run,
            route=options.route,
            gateway=options.gateway,
            take_over=take_over,
            ready_timeout=options.ready_timeout,
            clock=clock,
        )

    def down(namespace: str, deployment: str, arms: Sequence[str]) -> Mapping[str, str]:
        return down_arms(observer(namespace), namespace, deployment, arms)

    return Services(
        api=api,
        events=Events(api, identity, now) if now else Events(api, identity),
        operator=identity,
        leading=lease.holds,
        new_backend=new_backend,
        new_feed=new_feed,
        down=down,
        scratch=scratch,
        **settings,
    )


def _keeper(
    api: Api, services: Services, observers: Mapping[str | None, Observer], options: Options
) -> Keeper:
    events = Events(api, services.operator, services.now, PIPELINE)
    return Keeper(api, events, observers, options.image, services.leading)


def _end_when_lost(lease: Leadership, ended: threading.Event) -> None:
    while not ended.wait(0.5):
        if lease.lost():
            _log.error("the lease is lost: this replica ends")
            ended.set()
