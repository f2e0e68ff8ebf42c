"""One repository of a registry, by the OCI distribution protocol.

Every request that failed for want of a connection, or because the registry was busy, is made again; an
upload and a download go on where they stood.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, cast
from urllib.parse import urljoin

import httpx

from fairtrial_servers.image.authentication import (
    Authenticator,
    RegistryError,
    UnreachableRegistryError,
)
from fairtrial_servers.image.blobs import Blobs
from fairtrial_servers.image.oci import LARGEST_DOCUMENT, MANIFEST_TYPES, Descriptor
from fairtrial_servers.image.reference import Reference

#: Bytes of a part of an upload. Registries behind proxies refuse bodies that are much larger.
PART = 16 * 1024 * 1024
_ATTEMPTS = 5
_FORGOTTEN = (404, 416)
_BUSY = (429, 500, 502, 503, 504)
_TIMEOUT = httpx.Timeout(30, read=120, write=120)
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")


class Registry:
    """Reads and writes blobs and manifests. `actions`: `pull`, or `pull,push`. Raises RegistryError."""

    def __init__(
        self, reference: Reference, *, actions: str = "pull", insecure: bool = False, pause: float = 0.5
    ) -> None:
        self.reference = reference
        self._actions = actions
        self._pause = pause
        plain = insecure or reference.is_local
        host = "registry-1.docker.io" if reference.registry == "docker.io" else reference.registry
        self._base = f"{'http' if plain else 'https'}://{host}/v2/{reference.name}"
        # The environment's proxies are honoured, its netrc is not: logins are docker's.
        self._client = httpx.Client(timeout=_TIMEOUT, headers={"User-Agent": "fairtrial"})
        self._login = Authenticator(reference, self._client, insecure=plain)

    def __enter__(self) -> Registry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def manifest(self, version: str = "") -> tuple[Descriptor, bytes] | None:
        """A manifest by tag or digest (the reference's own by default); None where there is none."""
        wanted = version or self.reference.version
        answer = self._ask("GET", f"/manifests/{wanted}", headers={"Accept": ", ".join(MANIFEST_TYPES)})
        if answer.status_code == 404:
            return None
        self._expect(answer, f"read {wanted}", 200)
        if len(answer.content) > LARGEST_DOCUMENT:
            raise RegistryError(f"{self.reference}: the manifest is larger than a manifest can be")
        found = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
        if wanted.startswith("sha256:") and wanted != found:
            raise RegistryError(f"{self.reference}: the registry answers another manifest, {found}")
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        return Descriptor(kind, found, len(answer.content)), answer.content

    def put_manifest(self, data: bytes, media_type: str, version: str) -> None:
        answer = self._ask("PUT", f"/manifests/{version}", headers={"Content-Type": media_type}, content=data)
        self._expect(answer, f"take the manifest {version}", 200, 201)

    def has(self, blob: Descriptor) -> bool:
        answer = self._ask("HEAD", f"/blobs/{blob.digest}")
        if answer.status_code == 404:
            return False
        self._expect(answer, f"say whether it has {blob.digest}", 200)
        return True

    def upload(self, blob: Descriptor, file: Path, *, mount_from: str = "") -> bool:
        """Bring a blob to the registry; False where it took it from `mount_from`, another of its names."""
        query: dict[str, str] = {"mount": blob.digest, "from": mount_from} if mount_from else {}
        for attempt in range(_ATTEMPTS):
            answer = self._ask("POST", "/blobs/uploads/", params=query)
            if answer.status_code == 201:
                return False
            self._expect(answer, "begin an upload", 202)
            answer = self._send(blob, file, self._location(answer))
            # What got there though its answer was lost, or was brought by someone else meanwhile, is there.
            if answer.status_code in (200, 201) or self.has(blob):
                return True
            # Some registries forget an upload whose connection was cut: then it begins again.
            if answer.status_code not in _FORGOTTEN or attempt == _ATTEMPTS - 1:
                self._expect(answer, f"take the blob {blob.digest}", 201)
            self._wait(attempt)
        return True

    def _send(self, blob: Descriptor, file: Path, location: str) -> httpx.Response:
        """Send a blob in parts; the answer to the last one, or to one that the registry did not take."""
        kind = {"Content-Type": "application/octet-stream"}
        at = 0
        with file.open("rb") as source:
            while blob.size - at > PART:
                source.seek(at)
                part = source.read(PART)
                headers = {**kind, "Content-Range": f"{at}-{at + len(part) - 1}"}
                answer = self._ask("PATCH", location, headers=headers, content=part)
                if answer.status_code == 416:  # after a cut connection: some of it is there, so ask how much
                    answer = self._ask("GET", location)
                if answer.status_code not in (202, 204):
                    return answer
                location = self._location(answer)
                at = _received(answer, at + len(part))
            source.seek(at)
            rest = source.read()
        if at:
            kind["Content-Range"] = f"{at}-{at + len(rest) - 1}"
        url = str(httpx.URL(location).copy_merge_params({"digest": blob.digest}))
        return self._ask("PUT", url, headers=kind, content=rest)

    def download(self, blob: Descriptor, into: Blobs) -> None:
        """Fetch a blob; it is kept only if its digest and size are right."""
        with into.writing(blob) as target:
            for attempt in range(_ATTEMPTS):
                headers = {"Range": f"bytes={target.size}-"} if target.size else {}
                try:
                    with self._stream(f"/blobs/{blob.digest}", headers) as answer:
                        if answer.status_code == 404:
                            raise RegistryError(
                                f"{self.reference}: the registry lacks the blob {blob.digest}"
                            )
                        self._expect(answer, f"give the blob {blob.digest}", 206 if headers else 200, 200)
                        skip = target.size if headers and answer.status_code == 200 else 0
                        for data in answer.iter_raw(1024 * 1024):
                            fresh = data[skip:]
                            skip = max(0, skip - len(data))
                            if target.size + len(fresh) > blob.size:
                                raise RegistryError(f"{self.reference}: {blob.digest} is larger than it says")
                            target.write(fresh)
                    if target.size == blob.size:
                        return
                except httpx.TransportError as error:
                    if attempt == _ATTEMPTS - 1:
                        raise self._unreachable(error) from None
                    self._wait(attempt)
            # The digest is checked where the block ends, and says what is missing.

    @contextmanager
    def _stream(self, path: str, headers: dict[str, str]) -> Generator[httpx.Response]:
        self._ask("HEAD", path)  # takes care of the login, which a stream could not repeat
        request = self._request("GET", path, headers=headers)
        answer = self._client.send(request, stream=True, follow_redirects=True)
        try:
            if answer.is_error:
                answer.read()
            yield answer
        finally:
            answer.close()

    def _request(self, method: str, path: str, **said: Any) -> httpx.Request:
        url = path if path.startswith("http") else self._base + path
        request = self._client.build_request(method, url, **said)
        home = httpx.URL(self._base)
        same = (request.url.scheme, request.url.host, request.url.port) == (home.scheme, home.host, home.port)
        if self._login.header is not None and same:
            request.headers["Authorization"] = self._login.header
        return request

    def _ask(self, method: str, path: str, **said: Any) -> httpx.Response:
        """One request, with a login where one is asked for, and again where it did not get through."""
        logged_in = False
        attempt = 0
        while True:
            try:
                request = self._request(method, path, **said)
                answer = self._client.send(request, follow_redirects=method in ("GET", "HEAD"))
            except httpx.TransportError as error:
                if attempt == _ATTEMPTS - 1:
                    raise self._unreachable(error) from None
                answer = None
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise RegistryError(f"{self.reference}: the registry cannot be asked: {error}") from None
            if answer is not None and answer.status_code == 401 and not logged_in:
                logged_in = True
                if self._login.answer(answer.headers.get("WWW-Authenticate", ""), self._actions):
                    continue
            if answer is not None and (answer.status_code not in _BUSY or attempt == _ATTEMPTS - 1):
                return answer
            self._wait(attempt)
            attempt += 1

    def _wait(self, attempt: int) -> None:
        time.sleep(self._pause * 2**attempt)

    def _unreachable(self, error: Exception) -> UnreachableRegistryError:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        hint = ""
        if "SSL" in reason.upper() and not self._base.startswith("http:"):
            hint = "; a registry without TLS needs --insecure"
        return UnreachableRegistryError(
            f"the registry {self.reference.registry} cannot be reached: {reason}{hint}"
        )

    def _location(self, answer: httpx.Response) -> str:
        location = answer.headers.get("Location", "")
        if not location:
            raise RegistryError(f"{self.reference}: the registry began an upload and did not say where")
        return urljoin(f"{self._base}/", location)

    def _expect(self, answer: httpx.Response, what: str, *codes: int) -> None:
        if answer.status_code in codes:
            return
        registry = self.reference.registry
        if answer.status_code in (401, 403):
            raise RegistryError(
                f"{registry} does not allow to {what} in {self.reference.name}: run "
                f"`docker login {registry}` with an account that may"
            )
        raise RegistryError(
            f"{registry} does not {what} in {self.reference.name}: "
            f"it answered {answer.status_code}{_said(answer)}"
        )


def _received(answer: httpx.Response, otherwise: int) -> int:
    """How many bytes the registry has of an upload."""
    found = _RANGE.fullmatch(answer.headers.get("Range", ""))
    return int(found[1]) + 1 if found else otherwise


def _said(answer: httpx.Response) -> str:
    """The registry's own words, in brackets."""
    try:
        errors = json.loads(answer.content).get("errors", [])
        words = [str(cast("dict[str, Any]", each).get("message") or "") for each in errors]
    except (ValueError, AttributeError, httpx.ResponseNotRead):
        return ""
    text = "; ".join(word for word in words if word)
    return f" ({text[:200]})" if text else ""
