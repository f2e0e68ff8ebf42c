"""Serving without an experiment: one model, or all that a SeldonDeployment says."""

from __future__ import annotations

import json
import re
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fairtrial_graphs.backends.interface import NotReady, Route, Unsupported
from fairtrial_graphs.backends.local.access_log import AccessLog
from fairtrial_graphs.backends.local.backend import LocalBackend
from fairtrial_graphs.backends.local.ports import free_ports
from fairtrial_graphs.backends.local.process import GuardedProcess
from fairtrial_graphs.backends.local.reading import StandIns
from fairtrial_graphs.build import weights, with_local_uris
from fairtrial_graphs.seldon.rules import check
from fairtrial_graphs.seldon.text import ManifestError, read
from fairtrial_servers.addresses import model_name
from fairtrial_servers.errors import ServerError
from fairtrial_servers.formats import detect
from fairtrial_servers.launch import model_server

from fairtrial.errors import ExitCode, NotReadyError, UnsafeModelError, UsageError
from fairtrial.planning.models import Fetching, Models
from fairtrial.planning.words import in_words

#: Told once everything answers: a sentence, and the same as data.
Ready = Callable[[str, Mapping[str, Any]], None]

_POLL_SECONDS = 0.05
_FORBIDDEN_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


def serve_model(
    what: str,
    *,
    name: str | None,
    http_port: int | None,
    grpc_port: int | None,
    ready: Ready,
    fetching: Fetching,
) -> None:
    """Serve the model at a path or an address until interrupted.

    Raises UsageError, UnsafeModelError, NotReadyError.
    """
    models = Models(Path.cwd(), fetching)  # what is in the cache stays there while this lives
    path = models.at(what)
    free = free_ports(3)
    with tempfile.TemporaryDirectory(prefix="fairtrial-serve-") as folder:
        try:
            command = model_server(
                node=name or _FORBIDDEN_IN_NAMES.sub("-", model_name(what)),
                implementation=detect(path).implementation,
                model_uri=str(path.absolute()),
                http_port=http_port or free[0],
                grpc_port=grpc_port or free[1],
                metrics_port=free[2],
                parameters={},
                folder=folder,
            )
        except ServerError as error:
            raise UsageError(str(error)) from error
        log = Path(folder) / "server.log"
        process = GuardedProcess(command.argv, env=command.env, folder=Path(folder), log=log)
        try:
            where = _await_ready(process)
            ready(f"{where['model']} listens at {where['url']} (REST) and {where['grpc']} (gRPC)", where)
            while process.exit_code() is None:
                threading.Event().wait(_POLL_SECONDS)
            raise NotReadyError(f"the model server {process.describe_exit()}: {process.last_words()}")
        finally:
            process.stop()


def serve_manifest(
    path: Path,
    *,
    port: int | None,
    stand_ins: StandIns,
    access_log: Path | None,
    ready: Ready,
    tell: Callable[[str], None],
) -> None:
    """Serve a SeldonDeployment until interrupted; `tell` gets what is to know of it before it is ready.

    `access_log` is a folder for the requests through the split. Raises UsageError, NotReadyError.
    """
    try:
        deployment = with_local_uris(read(path), path.parent.absolute())
    except ManifestError as error:
        raise UsageError(str(error)) from error
    for finding in check(deployment):
        if not finding.refused:
            tell(f"{path}: {finding}")
    log = None
    if access_log is not None:
        log = AccessLog(access_log)
        try:
            log.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"--access-log {access_log} cannot be a folder ({error.strerror}); choose another"
            ) from error
    with (
        tempfile.TemporaryDirectory(prefix="fairtrial-serve-") as folder,
        LocalBackend(
            Path(folder), model_server, stand_ins=stand_ins, front_port=port, access_log=log
        ) as backend,
    ):
        try:
            serving = backend.apply(deployment, Route("manifest"), tell)
        except Unsupported as error:
            raise UsageError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from error
        except (NotReady, ServerError) as error:
            raise NotReadyError(str(error)) from error
        split = weights(deployment)
        document = {
            "url": serving.url,
            "weights": split,
            "arms": {name: {"url": arm.url, "grpc": arm.grpc} for name, arm in serving.arms.items()},
        }
        ready(f"{deployment.metadata.name} listens at {serving.url}: {in_words(split)}", document)
        while True:
            for incident in backend.incidents():
                ready(incident.message, {"incident": incident.message})
            threading.Event().wait(_POLL_SECONDS)


def _await_ready(process: GuardedProcess) -> dict[str, Any]:
    """What the server says of itself once it answers."""
    while True:
        ended = process.exit_code()
        for line in process.printed().splitlines():
            if line.startswith('{"event": "ready"'):
                return {key: value for key, value in json.loads(line).items() if key != "event"}
        if ended is not None:
            kind = {ExitCode.USAGE: UsageError, ExitCode.UNSAFE: UnsafeModelError}.get(
                ExitCode(ended), NotReadyError
            )
            raise kind(process.last_words())
        threading.Event().wait(_POLL_SECONDS)
