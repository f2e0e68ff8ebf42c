"""The Kubernetes API over plain HTTPS, as far as tests need it."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

Manifest = Mapping[str, Any]
Object = dict[str, Any]

FIELD_MANAGER = "tests"


class RefusedError(Exception):
    """What the API server said no to, in its own words; `code` is the HTTP status."""

    def __init__(self, status: Mapping[str, Any]) -> None:
        self.code = int(status.get("code", 0))
        self.reason = str(status.get("reason", ""))
        super().__init__(str(status.get("message", status)))


def https(url: str, authority: Path, token: str) -> httpx.Client:
    """An HTTP client that trusts the server's own certificate only."""
    context = ssl.create_default_context(cafile=authority)
    return httpx.Client(
        base_url=url, verify=context, headers={"Authorization": f"Bearer {token}"}, timeout=30.0
    )


class Client:
    """One user of one API server. Every verb raises RefusedError where the server refuses."""

    def __init__(self, url: str, authority: Path, token: str) -> None:
        self._http = https(url, authority, token)
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}

    def close(self) -> None:
        self._http.close()

    def version(self) -> str:
        """The server's, as in v1.34.4."""
        return self._send("GET", "/version")["gitVersion"]

    def apply(
        self,
        manifest: Manifest,
        *,
        namespace: str | None = None,
        dry_run: bool = False,
        manager: str = FIELD_MANAGER,
        force: bool = False,
    ) -> Object:
        """Server-side apply. Unknown and doubled fields are refused. The object as it then stands."""
        params = {"fieldManager": manager, "force": str(force).lower(), "fieldValidation": "Strict"}
        return self._send(
            "PATCH",
            self._path_of(manifest, namespace, manifest["metadata"]["name"]),
            params | ({"dryRun": "All"} if dry_run else {}),
            manifest,
            "application/apply-patch+yaml",
        )

    def create(self, manifest: Manifest, *, namespace: str | None = None, dry_run: bool = False) -> Object:
        """As `kubectl create --validate=strict`: for names that the server generates, too."""
        params = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        path = self._path_of(manifest, namespace)
        return self._send("POST", path, params | ({"dryRun": "All"} if dry_run else {}), manifest)

    def patch(
        self, api_version: str, kind: str, name: str, change: Manifest, *, namespace: str | None = None,
        subresource: str | None = None,
    ) -> Object:  # fmt: skip
        """A JSON merge patch, such as a user's edit or a controller's status."""
        path = self.path(api_version, kind, namespace, name) + (f"/{subresource}" if subresource else "")
        return self._send("PATCH", path, {}, change, "application/merge-patch+json")

    def get(self, api_version: str, kind: str, name: str, *, namespace: str | None = None) -> Object | None:
        """None if there is no such object."""
        try:
            return self._send("GET", self.path(api_version, kind, namespace, name))
        except RefusedError as error:
            if error.code == 404:
                return None
            raise

    def list(
        self, api_version: str, kind: str, *, namespace: str | None = None, labels: str = ""
    ) -> list[Object]:
        found = self._send("GET", self.path(api_version, kind, namespace), {"labelSelector": labels})
        return found["items"]

    def listed(self, api_version: str, kind: str) -> tuple[list[Object], str]:
        """The objects of all namespaces, and the version from which to watch on."""
        found = self._send("GET", self.path(api_version, kind, None))
        return found["items"], found["metadata"]["resourceVersion"]

    def watch(
        self, api_version: str, kind: str, version: str, ended: Callable[[], bool], quiet: float = 1.0
    ) -> Iterator[tuple[str, Object]]:
        """What happens to the objects of all namespaces: ADDED, MODIFIED or DELETED, and the object.

        Ends when the server says so or `ended`, which is asked every `quiet` seconds.
        """
        path = self.path(api_version, kind, None)
        while not ended():
            params = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "300"}
            with self._stream(path, params, time.monotonic() + quiet) as lines:
                for event in map(json.loads, lines):
                    if event["type"] == "ERROR":
                        return
                    version = event["object"]["metadata"]["resourceVersion"]
                    yield event["type"], event["object"]
                    if ended():
                        return

    def replace(self, manifest: Manifest) -> Object:
        """PUT: as controllers update, with the version that they read."""
        path = self._path_of(manifest, None, manifest["metadata"]["name"])
        return self._send("PUT", path, {"fieldManager": FIELD_MANAGER}, manifest)

    def token(self, namespace: str, account: str) -> str:
        """Of a service account."""
        path = f"{self.path('v1', 'ServiceAccount', namespace, account)}/token"
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        return self._send("POST", path, {}, asked)["status"]["token"]

    def table(self, api_version: str, kind: str, *, namespace: str) -> Object:
        """What `kubectl get` shows."""
        accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
        answer = self._http.get(self.path(api_version, kind, namespace), headers=accept)
        return answer.raise_for_status().json()

    def openapi(self, group: str) -> Object:
        """What `kubectl explain` reads of a group, as in apis/apps/v1."""
        return self._send("GET", f"/openapi/v3/{group}")

    def delete(self, api_version: str, kind: str, name: str, *, namespace: str | None = None) -> None:
        params = {"propagationPolicy": "Background"}
        self._send("DELETE", self.path(api_version, kind, namespace, name), params)

    def wait(
        self,
        api_version: str,
        kind: str,
        name: str,
        until: Callable[[Object | None], Any],
        *,
        namespace: str | None = None,
        timeout: float = 30.0,
    ) -> Object | None:
        """Watch an object until `until` holds of it (None: it is not there); what it then is.

        Raises TimeoutError, with the object as it last was.
        """
        deadline = time.monotonic() + timeout
        last: Object | None = None
        path = self.path(api_version, kind, namespace)
        for last in self._versions(path, {"fieldSelector": f"metadata.name={name}"}, deadline):
            if until(last):
                return last
        raise TimeoutError(f"{kind} {name}, after {timeout:g} s: {json.dumps(last)}")

    def install(self, definitions: Iterable[Manifest]) -> None:
        """Apply CRDs, and wait until their kinds are served."""
        names = [self.apply(each, force=True)["metadata"]["name"] for each in definitions]
        for name in names:
            self.wait("apiextensions.k8s.io/v1", "CustomResourceDefinition", name, _is_established)

    def path(self, api_version: str, kind: str, namespace: str | None, name: str | None = None) -> str:
        """Where the objects of a kind are, or one of them."""
        base = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
        plural, namespaced = self._plural(base, kind)
        inside = f"/namespaces/{namespace or 'default'}" if namespaced and (namespace or name) else ""
        return f"{base}{inside}/{plural}" + (f"/{name}" if name is not None else "")

    def _path_of(self, manifest: Manifest, namespace: str | None, name: str | None = None) -> str:
        base = namespace or manifest["metadata"].get("namespace") or "default"
        return self.path(manifest["apiVersion"], manifest["kind"], base, name)

    def _plural(self, base: str, kind: str) -> tuple[str, bool]:
        if (base, kind) not in self._kinds:
            for resource in self._send("GET", base)["resources"]:
                if "/" not in resource["name"]:
                    self._kinds[base, resource["kind"]] = (resource["name"], resource["namespaced"])
        if (base, kind) not in self._kinds:
            raise RefusedError({"code": 404, "reason": "NotFound", "message": f"{base} has no kind {kind}"})
        return self._kinds[base, kind]

    def _versions(self, path: str, params: dict[str, str], deadline: float) -> Iterator[Object | None]:
        """What one object is now, and what becomes of it, until the deadline."""
        while time.monotonic() < deadline:
            now = self._send("GET", path, params)
            yield now["items"][0] if now["items"] else None
            seconds = str(max(1, int(deadline - time.monotonic())))
            watched = params | {
                "watch": "1",
                "timeoutSeconds": seconds,
                "resourceVersion": now["metadata"]["resourceVersion"],
            }
            with self._stream(path, watched, deadline) as lines:
                for event in map(json.loads, lines):
                    if event["type"] == "ERROR":  # the version is too old: look again
                        break
                    yield None if event["type"] == "DELETED" else event["object"]

    @contextmanager
    def _stream(self, path: str, params: dict[str, str], deadline: float) -> Generator[Iterator[str]]:
        left = max(0.1, deadline - time.monotonic())
        with self._http.stream("GET", path, params=params, timeout=httpx.Timeout(10.0, read=left)) as answer:
            if answer.status_code != 200:
                answer.read()
                raise RefusedError(_status(answer))
            yield _until_late(answer.iter_lines())

    def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = "application/json",
    ) -> Object:
        # As UTF-8: what is applied is read as YAML, which does not know JSON's escapes of surrogate pairs.
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {"Content-Type": content_type} if content else {}
        answer = self._http.request(method, path, params=params, content=content, headers=headers)
        if answer.status_code >= 300:
            raise RefusedError(_status(answer))
        return answer.json()


def _status(answer: httpx.Response) -> Mapping[str, Any]:
    if answer.headers.get("content-type", "").startswith("application/json"):
        return answer.json()
    return {"code": answer.status_code, "message": answer.text}


def _until_late(lines: Iterator[str]) -> Iterator[str]:
    try:
        yield from lines
    except httpx.ReadTimeout:
        return


def _is_established(definition: Object | None) -> bool:
    conditions = ((definition or {}).get("status") or {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
