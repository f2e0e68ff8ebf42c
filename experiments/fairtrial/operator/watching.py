"""The watch of experiments, by kopf: it lists, watches, and begins again whatever happens to the connection.

Of kopf only that is used: what is remembered of a resource stands in its status, and nothing of kopf's in it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import kopf

from fairtrial.operator.resource import EXPERIMENT

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

_WATCH_LENGTH = 290  # seconds, after which the server ends a watch
_SILENCE = 70.0  # seconds; the server sends something each minute
_RECONNECT = 0.5  # seconds
_CLOSING = 0.3  # seconds

Observe = Callable[[str | None, Mapping[str, Any]], None]


def watch(client: ApiClient, namespaces: Sequence[str], observe: Observe, ended: threading.Event) -> None:
    """Tell of every experiment of these namespaces (of all, if none is named) until a signal, or `ended`.

    After either `ended` is set.

    observe: called with ADDED, MODIFIED, DELETED or None (it was there), and the resource; must not wait.
    """
    logging.getLogger("kopf").setLevel(logging.ERROR)
    registry = kopf.OperatorRegistry()
    group, _, version = EXPERIMENT.api_version.partition("/")

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:  # pyright: ignore[reportUnusedFunction]
        return _connection(client)

    @kopf.on.event(group, version, EXPERIMENT.plural, registry=registry)
    async def changed(event: Any, **_: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        observe(event["type"], event["object"])

    asyncio.run(_run(registry, namespaces, ended))


async def _run(registry: kopf.OperatorRegistry, namespaces: Sequence[str], ended: threading.Event) -> None:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True  # neither namespaces nor definitions need be listed
    settings.watching.server_timeout = _WATCH_LENGTH
    settings.watching.inactivity_timeout = _SILENCE
    settings.watching.reconnect_backoff = _RECONNECT
    settings.networking.request_timeout = 30
    settings.queueing.idle_timeout = 1.0
    try:
        await kopf.operator(
            registry=registry,
            settings=settings,
            # kopf would ask who the user is, and a container's has no name.
            identity=cast(Any, "fairtrial"),
            standalone=True,
            clusterwide=not namespaces,
            namespaces=namespaces,
            stop_flag=ended,
        )
    finally:
        # kopf waits for it in a thread, which asyncio joins: after a signal nobody else would set it.
        ended.set()
    # aiohttp closes its connections in the background, and says so nowhere.
    await asyncio.sleep(_CLOSING)


def _connection(client: ApiClient) -> kopf.ConnectionInfo:
    configuration = client.configuration
    header = configuration.get_api_key_with_prefix("authorization") or configuration.get_api_key_with_prefix(
        "BearerToken"
    )
    scheme, _, token = (header or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        scheme=scheme or None,
        token=token or None,
    )
