"""The local backend: a SeldonDeployment on this machine.

One model server process for each replica of a predictor, or the servers of its graph's nodes and an executor
that walks over them, behind one Envoy: a listener that splits the traffic by weight, and a listener for each
predictor, its own address. Both ways lead through Envoy, so that arms are measured alike,
and an address stays what it is when the server behind it is replaced or started again. All take gRPC, too.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fairtrial_graphs.backends.interface import (
    ArmEndpoint,
    Incident,
    Launcher,
    NotReady,
    Progress,
    Route,
    Serving,
    Unsupported,
)
from fairtrial_graphs.backends.local.access_log import AccessLog
from fairtrial_graphs.backends.local.envoy_config import ArmListener, SplitRoute
from fairtrial_graphs.backends.local.ports import free_ports, is_free
from fairtrial_graphs.backends.local.predictor import Part, PredictorServer
from fairtrial_graphs.backends.local.proxy import Proxy, ProxyDied, Rejected, Table
from fairtrial_graphs.backends.local.reading import LocalPlan, StandIns, read_plan
from fairtrial_graphs.backends.local.supervision import Supervised
from fairtrial_graphs.seldon.types import SeldonDeployment

_WATCH_INTERVAL = 0.05  # seconds
_LISTEN_ATTEMPTS = 3
_LEAVING = 3.0  # seconds


@dataclass(frozen=True)
class _Running:
    """A predictor that is served, and the watch over each of its processes."""

    model: PredictorServer
    watches: Sequence[Supervised]


class LocalBackend:
    """Runs manifests with the processes that `launcher` describes; all its files are under `folder`.

    `stand_ins` are commands to run in place of images. `front_port` is the split's port (a free one unless
    said), `access_log` where it is logged (nowhere unless said). A process may take `ready_timeout` seconds
    to become ready, a removed predictor `drain_timeout` seconds to finish its requests.
    """

    def __init__(
        self,
        folder: Path,
        launcher: Launcher,
        *,
        stand_ins: StandIns | None = None,
        front_port: int | None = None,
        access_log: AccessLog | None = None,
        ready_timeout: float = 60.0,
        drain_timeout: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder.resolve()
        self._launcher = launcher
        self._stand_ins = stand_ins or {}
        self._wanted_port = front_port
        self._ready_timeout = ready_timeout
        self._drain_timeout = drain_timeout
        self._clock = clock
        self._generation = itertools.count(1)
        self._proxy = Proxy(self._folder, self._folder / "logs" / "envoy.log", access_log)
        self._proxy_watch = Supervised("Envoy", None, lambda: self._proxy.process, self._proxy.start, clock)
        self._running: dict[str, _Running] = {}
        self._table: Table | None = None  # what Envoy serves
        self._incidents: deque[Incident] = deque()
        self._closing = threading.Event()
        self._applying = threading.Lock()
        self._state = threading.RLock()  # held while the above change, never while a model gets ready
        self._watcher = threading.Thread(target=self._watch, name="fairtrial-local", daemon=True)

    def apply(self, deployment: SeldonDeployment, route: Route, progress: Progress) -> Serving:
        """See `Backend.apply`. If it raises, what was served before is served as before."""
        with self._applying:
            if self._closing.is_set():
                raise NotReady("the local backend is closed")
            plan = read_plan(deployment, self._stand_ins)
            _check_matches(route, plan.weights)
            for sentence in plan.ignored:
                progress(sentence)
            self._start_proxy()
            fresh: dict[str, PredictorServer] = {}
            try:
                self._start_missing(plan, fresh, progress)
                for model in fresh.values():
                    model.await_ready(self._ready_timeout, self._closing.is_set)
                    progress(f"{model.spec.predictor} is ready")
                removed = self._shift(plan, route, fresh)
            except BaseException:
                _stop(fresh.values())
                raise
            self._retire(removed)
            return self._serving(route)

    def incidents(self) -> Sequence[Incident]:
        """See `Backend.incidents`. What could be started again has been by the time it is told here."""
        told: list[Incident] = []
        while self._incidents:
            told.append(self._incidents.popleft())
        return told

    @property
    def outlives_run(self) -> bool:
        """See `Backend`."""
        return False

    def release(self) -> None:
        """See `Backend.release`: nobody else can hold what runs here."""

    def close(self) -> None:
        """See `Backend.close`."""
        self._closing.set()
        with self._applying:
            if self._watcher.is_alive():
                self._watcher.join()
            if self._proxy.process is not None:
                self._proxy.process.ask_to_stop()
            _stop([running.model for running in self._running.values()])
            self._running.clear()
            if self._proxy.process is not None:
                self._proxy.process.stop()

    def __enter__(self) -> LocalBackend:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start_proxy(self) -> None:
        if self._watcher.ident is not None:
            return
        if self._wanted_port is not None:
            self._await_free(self._wanted_port)
        self._proxy.start()
        self._watcher.start()

    def _await_free(self, port: int) -> None:
        # The processes of a run that was killed a moment ago may be about to leave it.
        deadline = self._clock() + _LEAVING
        while not is_free(port):
            if self._clock() > deadline:
                raise _port_in_use(port)
            time.sleep(_WATCH_INTERVAL)

    def _start_missing(self, plan: LocalPlan, fresh: dict[str, PredictorServer], progress: Progress) -> None:
        """Start a server for each predictor that is new or changed, and put it into `fresh`."""
        for spec in plan.predictors:
            running = self._running.get(spec.predictor)
            if running is None or running.model.spec != spec:
                progress(f"starting {spec.predictor}: {spec}")
                cluster = f"{spec.predictor}@{next(self._generation)}"
                fresh[spec.predictor] = PredictorServer(spec, cluster, self._launcher, self._folder)
                fresh[spec.predictor].start()

    def _shift(
        self, plan: LocalPlan, route: Route, fresh: Mapping[str, PredictorServer]
    ) -> list[PredictorServer]:
        """Move the traffic to what the plan says. Returns the models that it says nothing of any more."""
        split = SplitRoute(
            weights=plan.weights,
            revision=route.revision,
            sticky=route.sticky,
            matches=route.matches,
            timeout=route.timeout,
            retries=route.retries,
            mirror=plan.mirror.predictor if plan.mirror else None,
            mirror_percent=plan.mirror.percent if plan.mirror else 100,
        )
        with self._state:
            before = self._running
            models = [fresh.get(spec.predictor) or before[spec.predictor].model for spec in plan.predictors]
            try:
                self._table = self._serve_on_free_ports(models, split)
            except BaseException:
                self._restore()
                raise
            self._running = {
                model.spec.predictor: self._supervise(model)
                if model.spec.predictor in fresh
                else before[model.spec.predictor]
                for model in models
            }
            kept = {model.cluster for model in models}
            return [old.model for old in before.values() if old.model.cluster not in kept]

    def _serve_on_free_ports(self, models: Sequence[PredictorServer], split: SplitRoute) -> Table:
        """Have Envoy serve these. A predictor that was there before keeps its port. Raises NotReady."""
        before = self._table
        ports = {arm.predictor: arm.port for arm in before.arms} if before else {}
        for attempt in itertools.count(1):
            table = Table(
                before.split_port if before else self._wanted_port or free_ports(1)[0],
                tuple(
                    ArmListener(name, ports.get(name) or free_ports(1)[0], model.upstream)
                    for name, model in ((model.spec.predictor, model) for model in models)
                ),
                split,
            )
            try:
                self._tell(self._proxy.serve, table)
            except Rejected as error:
                if before is None and self._wanted_port and not is_free(self._wanted_port):
                    raise _port_in_use(self._wanted_port) from error
                if not error.port_in_use or attempt == _LISTEN_ATTEMPTS:
                    raise NotReady(f"Envoy did not take the new split: {error}") from error
            else:
                return table
        raise AssertionError("unreachable")

    def _restore(self) -> None:
        """After a change that failed half way: serve what was served before."""
        if self._table is not None:
            with contextlib.suppress(Rejected, NotReady):
                self._tell(self._proxy.serve, self._table)
                self._tell(self._proxy.prune, self._table)

    def _retire(self, models: Sequence[PredictorServer]) -> None:
        """Let models that get no new requests finish the old ones, and stop them."""
        clusters = [model.cluster for model in models]
        deadline = self._clock() + self._drain_timeout
        while not self._proxy.is_idle(clusters) and self._clock() < deadline and not self._closing.is_set():
            time.sleep(_WATCH_INTERVAL)
        with self._state:
            assert self._table is not None
            self._tell(self._proxy.prune, self._table)
        _stop(models)

    def _tell(self, change: Callable[[Table], None], table: Table) -> None:
        """Change what Envoy serves, whether or not it dies meanwhile. Raises Rejected, NotReady."""
        while True:
            try:
                return change(table)
            except ProxyDied as error:
                while self._proxy_watch.is_down():
                    self._note(self._proxy_watch.watch())
                    if self._proxy_watch.given_up or self._closing.wait(_WATCH_INTERVAL):
                        raise NotReady(str(error)) from error

    def _supervise(self, model: PredictorServer) -> _Running:
        return _Running(model, [self._watch_over(model, part) for part in model.parts])

    def _watch_over(self, model: PredictorServer, part: Part) -> Supervised:
        predictor = model.spec.predictor
        return Supervised(part.what, predictor, lambda: part.process.process, part.restart, self._clock)

    def _watch(self) -> None:
        while not self._closing.wait(_WATCH_INTERVAL):
            with self._state:
                found = [self._proxy_watch.watch()]
                self._proxy.rotate_log()
                for running in self._running.values():
                    found += [watch.watch() for watch in running.watches]
                    running.model.look()
                self._follow()
                for incident in found:
                    self._note(incident)

    def _follow(self) -> None:
        """Tell Envoy where the model servers are, if that is no longer what it was told."""
        if self._table is None:
            return
        now = {running.model.cluster: running.model.upstream for running in self._running.values()}
        arms = tuple(
            replace(arm, upstream=now.get(arm.upstream.cluster, arm.upstream)) for arm in self._table.arms
        )
        if arms == self._table.arms:
            return
        self._table = replace(self._table, arms=arms)
        try:
            self._tell(self._proxy.serve, self._table)
        except (Rejected, NotReady) as error:
            self._note(Incident(None, f"Envoy was not told where the model servers are now: {error}"))

    def _note(self, incident: Incident | None) -> None:
        if incident is not None:
            self._incidents.append(incident)

    def _serving(self, route: Route) -> Serving:
        assert self._table is not None
        arms = {
            arm.predictor: ArmEndpoint(
                predictor=arm.predictor,
                url=f"http://127.0.0.1:{arm.port}",
                model=arm.upstream.node,
                grpc=f"127.0.0.1:{arm.port}" if arm.upstream.grpc_ports else None,
            )
            for arm in self._table.arms
        }
        return Serving(url=f"http://127.0.0.1:{self._table.split_port}", arms=arms, revision=route.revision)


def _check_matches(route: Route, weights: Mapping[str, int]) -> None:
    """Raises Unsupported for a match that leads to no predictor of the split."""
    for match in route.matches:
        if match.predictor not in weights:
            raise Unsupported(
                f"{match.header}: {match.value} leads to {match.predictor}, "
                f"but the split has {', '.join(weights)}"
            )


def _stop(models: Iterable[PredictorServer]) -> None:
    models = list(models)
    for model in models:
        model.ask_to_stop()
    for model in models:
        model.stop()


def _port_in_use(port: int) -> NotReady:
    return NotReady(f"port {port} is in use by another program; end that, or choose another port")
