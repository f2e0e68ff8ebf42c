"""JSON posted to a URL."""

from __future__ import annotations

from urllib.parse import urlsplit

from fairtrial.errors import UsageError
from fairtrial.followers.interface import AwayError, RefusedError
from fairtrial.notify.message import Message

TIMEOUT = 5.0  # seconds, for each of connecting, sending and the answer
#: Of the statuses that blame the sender, those that pass.
_PASSING = frozenset({408, 425, 429})


class Webhook:
    """See `Notifier`. Any answer of 2xx will do. Redirects are not followed: a POST would become a GET."""

    def __init__(self, url: str) -> None:
        """Raises UsageError if it is no URL; the message does not have it, for it may be a secret."""
        host = _host(url)
        if host is None:
            raise UsageError("expected the URL of a webhook, http:// or https://")
        self._url = url
        self._where = f"the webhook at {host}"  # the host alone: a path may be a secret

    def send(self, message: Message) -> None:
        import httpx

        try:
            answer = httpx.post(self._url, json=message.as_json(), timeout=TIMEOUT, follow_redirects=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise AwayError(f"{self._where} cannot be reached ({type(error).__name__})") from error
        if answer.is_success:
            return
        said = f"{self._where} answered {answer.status_code} to the event {message.event}"
        if answer.status_code >= 500 or answer.status_code in _PASSING:
            raise AwayError(said)
        raise RefusedError(said)


def _host(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return parts.hostname if parts.scheme in ("http", "https") and port != 0 else None
