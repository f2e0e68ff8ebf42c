"""The request log as a source: what the collector gives out, over HTTP."""

from __future__ import annotations

import http.client
import socket
import urllib.error
import urllib.request
from urllib.parse import urlencode

import pyarrow as pa
from fairtrial_loadtests.observation import REQUIRED

from fairtrial.collect.access import TOKEN_VARIABLE
from fairtrial.controller.live_feed import CURSOR, ProviderError, Reading
from fairtrial.errors import UsageError

_TIMEOUT = 5.0  # seconds
_MOST = 5000  # observations of one reading


class RequestLog:
    """One deployment's observations, from the collector."""

    def __init__(
        self, collector: str, deployment: str, *, since: float, window: float, token: str | None = None
    ) -> None:
        """deployment: namespace/name. since: of requests asked from then on, seconds since the epoch.

        window: seconds that an observation waits for its answer and its truth. token: the collector's, if it
        asks for one.
        """
        self._collector = collector.rstrip("/")
        self._token = token
        self._asked = {"deployment": deployment, "since": f"{since:.6f}", "grace": f"{window:g}"}

    @property
    def name(self) -> str:
        return f"the collector at {self._collector}"

    def read(self, after: int | None) -> Reading:
        """See `LiveSource.read`."""
        query = urlencode({**self._asked, "after": after or 0, "limit": _MOST})
        try:
            with urllib.request.urlopen(self._request(query), timeout=_TIMEOUT) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(300).decode("utf-8", "replace")
            if error.code in (408, 429) or error.code >= 500:
                raise ProviderError(f"{self.name} answers {error.code}: {said}") from error
            if error.code == 401:
                raise UsageError(
                    f"{self.name} knows us not: {TOKEN_VARIABLE} of the environment must be the collector's"
                ) from error
            raise UsageError(
                f"{self.name} answers {error.code} ({said}): traffic.live.collector must be a "
                "`fairtrial collect`"
            ) from error
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            raise ProviderError(f"{self.name} does not answer: {_reason(error)}") from error
        return self._reading(content)

    def _request(self, query: str) -> urllib.request.Request:
        request = urllib.request.Request(f"{self._collector}/observations?{query}")
        if self._token:
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        return request

    def _reading(self, content: bytes) -> Reading:
        try:
            table = pa.ipc.open_stream(content).read_all()
        except pa.ArrowException as error:
            raise UsageError(
                f"{self.name} answers no observations: traffic.live.collector must be a `fairtrial collect`"
            ) from error
        if not {*REQUIRED, "segment", CURSOR} <= set(table.schema.names):
            raise UsageError(f"{self.name} lacks columns of an observation: it is of another version")
        return Reading(table, more=table.num_rows == _MOST)


def _reason(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError | socket.timeout):
        return f"nothing within {_TIMEOUT:g} s"
    return str(getattr(reason, "strerror", None) or reason)
