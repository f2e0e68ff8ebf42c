"""The Kubernetes API as the backend uses it: get, list, apply, delete, watch; plain dicts go in and come out.

Configuration, TLS and credentials are the official client's. Its types are left out: most of the objects here
are custom resources, for which it has none.
"""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from fairtrial_graphs.backends.kubernetes.errors import ApiError, refusal
from fairtrial_graphs.backends.kubernetes.kinds import Kind

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

Object = dict[str, Any]

FIELD_MANAGER = "fairtrial"
_WORTH_ANOTHER_TRY = {0, 429, 500, 502, 503, 504}
_TIMEOUT = 15.0  # seconds, of one request
_WATCH_LENGTH = 290  # seconds, after which the server ends a watch
_WATCH_SILENCE = (
    90.0  # seconds; the server sends a bookmark each minute, so that silence means a lost connection
)


class Api:
    """One user of one cluster. Thread-safe. Every verb raises ApiError.

    A request that is not answered, or with 429 or a server's error, is sent again for `patience` seconds: all
    that is sent here may be sent twice.
    """

    def __init__(
        self,
        client: ApiClient,
        *,
        patience: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._client = client
        self._patience = patience
        self._clock = clock
        self._sleep = sleep

    @property
    def server(self) -> str:
        """Its URL."""
        return self._client.configuration.host

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """None if there is no such object."""
        return _unless_missing(lambda: self._send(_Call("get", "GET", kind, namespace, name)))

    def list(self, kind: Kind, namespace: str | None, labels: str = "") -> tuple[list[Object], str]:
        """The objects, and the version from which to watch on. A namespace of None means all."""
        found = self._send(_Call("list", "GET", kind, namespace, query=_selecting(labels)))
        return found.get("items") or [], found["metadata"]["resourceVersion"]

    def apply(
        self, kind: Kind, manifest: Mapping[str, Any], *, force: bool = False, dry_run: bool = False
    ) -> Object:
        """Server-side apply; the object as it then stands, or with `dry_run` as it would.

        force: take over the fields that others have set; otherwise Conflict says whose they are.
        """
        where = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        query = {"fieldManager": FIELD_MANAGER, "force": str(force).lower(), "fieldValidation": "Strict"}
        query |= {"dryRun": "All"} if dry_run else {}
        return self._send(
            _Call("patch", "PATCH", kind, *where, query, manifest, "application/apply-patch+yaml")
        )

    def create(self, kind: Kind, manifest: Mapping[str, Any]) -> Object | None:
        """None if there is one of this name already."""
        query = {"fieldManager": FIELD_MANAGER}
        try:
            return self._send(
                _Call("create", "POST", kind, manifest["metadata"]["namespace"], None, query, manifest)
            )
        except ApiError as error:
            if error.reason == "AlreadyExists":
                return None
            raise

    def patch(
        self, kind: Kind, namespace: str, name: str, change: Mapping[str, Any], subresource: str = ""
    ) -> Object | None:
        """A JSON merge patch; None if there is no such object."""
        query = {"fieldManager": FIELD_MANAGER}
        call = _Call(
            "patch",
            "PATCH",
            kind,
            namespace,
            name,
            query,
            change,
            "application/merge-patch+json",
            subresource,
        )
        return _unless_missing(lambda: self._send(call))

    def delete(self, kind: Kind, namespace: str, name: str) -> None:
        """Also where it is gone already."""
        query = {"propagationPolicy": "Background"}
        _unless_missing(lambda: self._send(_Call("delete", "DELETE", kind, namespace, name, query)))

    def watch(self, kind: Kind, namespace: str | None, version: str, labels: str = "") -> Watch:
        """What happens from a version on. Raises Expired when the version is too old."""
        query = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_LENGTH),
            **_selecting(labels),
        }
        call = _Call("watch", "GET", kind, namespace, query=query)
        answer = self._open(call, stream=True)
        if answer.status >= 300:
            raise call.refused(answer.status, answer.read())
        return Watch(call, answer)

    def _send(self, call: _Call) -> Object:
        deadline = self._clock() + self._patience
        pause = 0.1
        while True:
            asked = 0.0
            try:
                answer = self._open(call)
                if answer.status < 300:
                    return json.loads(answer.data)
                error = call.refused(answer.status, answer.data)
                asked = _seconds(answer.headers.get("Retry-After"))
            except ApiError as no_answer:
                error = no_answer
            if error.code not in _WORTH_ANOTHER_TRY or self._clock() > deadline:
                raise error
            self._sleep(max(asked, pause * random.uniform(0.5, 1.5)))
            pause = min(pause * 2, 5.0)

    def _open(self, call: _Call, *, stream: bool = False) -> Any:
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        headers: dict[str, str] = {"Accept": "application/json", "User-Agent": FIELD_MANAGER}
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        self._client.update_params_for_auth(headers, [], ["BearerToken"], call.path, call.method, call.body)
        query = f"?{urlencode(call.query)}" if call.query else ""
        # As UTF-8: what is applied is read as YAML, which does not know JSON's escapes of surrogate pairs.
        body = None if call.body is None else json.dumps(call.body, ensure_ascii=False).encode()
        try:
            return self._client.rest_client.pool_manager.request(
                call.method,
                f"{self.server}{call.path}{query}",
                body=body,
                headers=headers,
                timeout=Timeout(connect=5.0, read=_WATCH_SILENCE if stream else _TIMEOUT),
                preload_content=not stream,
                retries=False,
                redirect=False,
            )
        except HTTPError as error:
            raise ApiError(f"the API server at {self.server} does not answer: {error}") from error


class _Call:
    """One request: the verb is RBAC's, and what an error calls it."""

    def __init__(
        self,
        verb: str,
        method: str,
        kind: Kind,
        namespace: str | None,
        name: str | None = None,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        subresource: str = "",
    ) -> None:
        self.verb, self.method, self.kind, self.namespace = verb, method, kind, namespace
        self.query, self.body, self.content_type = query or {}, body, content_type
        self.path = kind.path(namespace, name) + (f"/{subresource}" if subresource else "")

    def refused(self, code: int, answer: bytes) -> ApiError:
        try:
            status = json.loads(answer)
        except ValueError:
            status = {"message": answer.decode(errors="replace")[:300]}
        return refusal(status if isinstance(status, dict) else {}, code, self.verb, self.kind, self.namespace)


class Watch:
    """Iterate over it: ADDED, MODIFIED, DELETED or BOOKMARK, and the object. Ends with the connection."""

    def __init__(self, call: _Call, answer: Any) -> None:
        self._call = call
        self._answer = answer

    def __iter__(self) -> Iterator[tuple[str, Object]]:
        """Raises Expired when the version watched from is too old, ApiError when the connection breaks."""
        from urllib3.exceptions import HTTPError

        try:
            for line in _lines(self._answer):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    code = int(event["object"].get("code", 0))
                    raise refusal(event["object"], code, "watch", self._call.kind, self._call.namespace)
                yield event["type"], event["object"]
        except (HTTPError, OSError, ValueError) as error:
            raise ApiError(f"the watch of {self._call.kind.plural} was cut off: {error}") from error
        finally:
            self._answer.close()

    def stop(self) -> None:
        """End the iteration, from another thread."""
        with contextlib.suppress(ValueError):  # it has ended already
            self._answer.shutdown()


def _lines(answer: Any) -> Iterator[bytes]:
    rest = b""
    # As they come: `stream` would wait for a whole block.
    while chunk := answer.read1():
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line)


def _unless_missing(send: Callable[[], Object]) -> Object | None:
    try:
        return send()
    except ApiError as error:
        if error.code == 404 and error.reason == "NotFound":
            return None
        raise


def _selecting(labels: str) -> dict[str, str]:
    return {"labelSelector": labels} if labels else {}


def _seconds(header: str | None) -> float:
    try:
        return float(header or 0)
    except ValueError:
        return 0.0
