"""Models behind a web server: one file, or an archive of a folder.

Credentials for the host are read from ~/.netrc, proxies from the environment.
"""

from __future__ import annotations

import base64
import email.message
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import httpx

from fairtrial_servers.addresses import said, shown
from fairtrial_servers.errors import ModelError
from fairtrial_servers.store.interface import Received, UnreachableError
from fairtrial_servers.store.receiving import Receiver, Sink

_CONNECT_SECONDS = 10.0
_MOST_REDIRECTS = 10
#: Seconds before each further attempt where the server fails or the connection breaks.
PAUSES = (0.5, 2.0)
_OK, _NOT_MODIFIED = 200, 304
_BUSY = (408, 425, 429)
_WHY = {
    401: "it asks for credentials, which ~/.netrc may hold",
    403: "access is denied",
    404: "there is none",
    410: "it is gone",
}


def _hide_secrets(record: logging.LogRecord) -> bool:
    """httpx logs whole addresses, and those may hold a signature that lets one in."""
    if isinstance(record.args, tuple):
        record.args = tuple(shown(str(arg)) if isinstance(arg, httpx.URL) else arg for arg in record.args)
    return True


logging.getLogger("httpx").addFilter(_hide_secrets)


class HttpStore:
    def __init__(self, timeout: float) -> None:
        """timeout: seconds without a byte after which the server is given up."""
        self._timeout = httpx.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS))

    def identity(self, uri: str) -> str:
        return uri

    def is_fixed(self, uri: str) -> bool:
        del uri
        return False  # whatever is at a URL may be replaced

    def download(self, uri: str, known: str | None, receiver: Receiver) -> Received:
        for pause in PAUSES:
            try:
                return self._attempt(uri, known, receiver)
            except UnreachableError:
                receiver.forget()
                time.sleep(pause)
        return self._attempt(uri, known, receiver)

    def _attempt(self, uri: str, known: str | None, receiver: Receiver) -> Received:
        headers = {"Accept-Encoding": "identity", **_only_if_changed(known)}
        try:
            with (
                self._client(uri) as client,
                client.stream("GET", uri.partition("#")[0], headers=headers) as answer,
            ):
                if answer.status_code == _NOT_MODIFIED and known:
                    return Received(known, lone=True, changed=False)
                _check_status(uri, answer)
                return self._receive(uri, answer, receiver)
        except httpx.TimeoutException:
            raise UnreachableError(f"{shown(uri)}: the server does not answer in time") from None
        except httpx.TooManyRedirects:
            raise ModelError(f"{shown(uri)} redirects in circles") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise ModelError(f"{shown(uri)} is no address of a web server: {said(error, uri)}") from None
        except httpx.HTTPError as error:
            raise UnreachableError(f"{shown(uri)} cannot be fetched: {said(error, uri)}") from None

    def _receive(self, uri: str, answer: httpx.Response, receiver: Receiver) -> Received:
        length = answer.headers.get("content-length")
        plain = answer.headers.get("content-encoding", "identity") == "identity"
        checks = _checks(answer.headers)
        chunked = "chunked" in answer.headers.get("transfer-encoding", "")
        if length is None and not chunked and answer.http_version != "HTTP/2" and not checks:
            raise ModelError(
                f"{shown(uri)}: the server says neither how long the file is nor where it ends, so that "
                f"nobody could tell whether all of it came"
            )
        size = int(length) if length is not None and length.isdecimal() and plain else None
        if size is not None:
            receiver.expect(size)
        with receiver.file(_name(uri, answer), size) as sink:
            for chunk in answer.iter_raw() if plain else answer.iter_bytes():
                sink.write(chunk)
            for what, right in checks.items():
                if not right(sink):
                    raise UnreachableError(f"{shown(uri)} is broken on its way: its {what} is another")
        return Received(_version(answer.headers), lone=True)

    def _client(self, uri: str) -> httpx.Client:
        def stay_safe(request: httpx.Request) -> None:
            if urlsplit(uri).scheme.lower() == "https" and request.url.scheme != "https":
                raise ModelError(f"{shown(uri)} redirects from https to http, where anybody could change it")

        return httpx.Client(
            timeout=self._timeout,
            follow_redirects=True,
            max_redirects=_MOST_REDIRECTS,
            auth=_netrc(),
            event_hooks={"request": [stay_safe]},
        )


def _netrc() -> httpx.Auth | None:
    file = os.environ.get("NETRC") or os.path.expanduser("~/.netrc")
    return httpx.NetRCAuth(file) if os.path.isfile(file) else None


def _check_status(uri: str, answer: httpx.Response) -> None:
    status = answer.status_code
    if status == _OK:
        return
    if status >= 500 or status in _BUSY:
        raise UnreachableError(
            f"{shown(uri)}: the server fails with {status} {answer.reason_phrase}".rstrip()
        )
    why = _WHY.get(status, answer.reason_phrase or "the server sends no file")
    raise ModelError(f"there is no model to be had at {shown(uri)}: {status}, {why}")


def _version(headers: Mapping[str, str]) -> str | None:
    """By which a later request asks whether the file has changed; weak tags will do, as bytes are checked."""
    for name in ("etag", "last-modified"):
        if headers.get(name):
            return f"{name}: {headers[name]}"
    return None


def _only_if_changed(known: str | None) -> dict[str, str]:
    if known is None:
        return {}
    name, _, value = known.partition(": ")
    return {"If-None-Match" if name == "etag" else "If-Modified-Since": value}


def _checks(headers: Mapping[str, str]) -> dict[str, Callable[[Sink], bool]]:
    """What the server says of the content, by the name of the header."""
    found: dict[str, Callable[[Sink], bool]] = {}
    encoded = headers.get("content-encoding", "identity") != "identity"
    md5 = headers.get("content-md5")
    if md5 and not encoded:
        found["Content-MD5"] = lambda sink: base64.b64encode(sink.md5.digest()).decode() == md5.strip()
    for name in ("repr-digest", "digest"):
        for part in headers.get(name, "").split(","):
            kind, _, value = part.strip().partition("=")
            if kind.lower() == "sha-256" and not encoded:
                wanted = value.strip(":")
                found[name] = lambda sink, wanted=wanted: (
                    base64.b64encode(sink.sha256.digest()).decode() == wanted
                )
    return found


def _name(uri: str, answer: httpx.Response) -> str:
    """The file's name: that of the address where it has a suffix, else the one that the server gives."""
    own, final = (
        PurePosixPath(unquote(urlsplit(each).path)).name.replace("\\", "_") for each in (uri, str(answer.url))
    )
    message = email.message.Message()
    message["content-disposition"] = answer.headers.get("content-disposition", "")
    given = PurePosixPath((message.get_filename() or "").replace("\\", "/")).name
    names = [own, given, final]
    return next((n for n in names if PurePosixPath(n).suffix), None) or next((n for n in names if n), "model")
