"""Requests to services of others, and what their answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fairtrial.errors import NotReadyError, UsageError

if TYPE_CHECKING:
    import httpx

_TIMEOUT = 15.0  # seconds, for each of connecting, sending and the answer
#: Of the statuses that blame the sender, those that pass.
_PASSING = frozenset({408, 425, 429})


class Service:
    """One service. Redirects are not followed: a POST would become a GET, and a token would go elsewhere."""

    def __init__(self, called: str, url: str, *, token: str | None = None) -> None:
        """called: in words, "Airflow". url: of its root. Raises UsageError if it is none; it is not told."""
        host = _host(url)
        if host is None:
            raise UsageError(f"expected a URL of {called}, http:// or https://")
        if token is not None and not token.isascii():
            raise UsageError(f"the token for {called} has characters that no token can have")
        self.where = f"{called} at {host}"  # the host alone: a path may be a secret
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token is not None else {}

    def ask(
        self,
        method: str,
        path: str = "",
        *,
        json: object = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Raises NotReadyError where nobody answers, or only that it may be asked later."""
        import httpx

        try:
            answer = httpx.request(
                method,
                f"{self._url}{path}",
                json=json,
                params=params,
                headers={**self._headers, **(headers or {})},
                timeout=_TIMEOUT,
                follow_redirects=False,
            )
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise NotReadyError(f"{self.where} cannot be reached ({type(error).__name__})") from error
        if answer.status_code >= 500 or answer.status_code in _PASSING:
            raise NotReadyError(f"{self.where} answered {answer.status_code}")
        return answer

    def refused(self, answer: httpx.Response, doing: str, why: str = "") -> UsageError:
        """To be raised. doing: what it was asked for, "to start the DAG train_wine"."""
        hint = why
        if answer.status_code in (401, 403):
            hint = "; see the token that spec.retrain names, and what its account may do"
        return UsageError(f"{self.where} was asked {doing}, and answered {answer.status_code}{hint}")

    def lacking(self, what: str) -> UsageError:
        """To be raised: it has not what the file names."""
        return UsageError(f"{self.where}: {what}; see spec.retrain")

    def content(self, answer: httpx.Response) -> Mapping[str, Any]:
        """Its JSON object. Raises UsageError if there is none: it is another service."""
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise UsageError(f"{self.where} answered with no JSON object; see spec.retrain's url")
        return found


def _host(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return parts.hostname if parts.scheme in ("http", "https") and port != 0 else None
