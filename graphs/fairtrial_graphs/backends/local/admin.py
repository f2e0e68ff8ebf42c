"""Questions to Envoy's admin address."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from typing import Any


class AdminUnreachable(Exception):
    """Envoy does not answer at its admin address: it has not started yet, or has died."""


class Admin:
    def __init__(self, port: int) -> None:
        self._port = port

    def is_live(self) -> bool:
        """Whether Envoy has finished its start."""
        try:
            return self._get("/ready").startswith("LIVE")
        except AdminUnreachable:
            return False

    def number(self, name: str) -> int:
        """A counter or gauge; 0 if there is none of this name yet. Raises AdminUnreachable."""
        return int(self._stat(name) or 0)

    def text(self, name: str) -> str | None:
        """A text readout. Raises AdminUnreachable."""
        return self._stat(name, "&type=TextReadouts")

    def complaints(self) -> str:
        """Why resources were rejected, in Envoy's words; "" if none was. Raises AdminUnreachable."""
        found: list[str] = []
        _collect_details(json.loads(self._get("/config_dump")), found)
        return "; ".join(dict.fromkeys(found))

    def reopen_logs(self) -> None:
        """Have it open its access logs anew, by their names. Raises AdminUnreachable."""
        self._get("/reopen_logs", method="POST")

    def _stat(self, name: str, more: str = "") -> str | None:
        pattern = urllib.parse.quote(f"^{name.replace('.', '[.]')}$")
        for line in self._get(f"/stats?filter={pattern}{more}").splitlines():
            key, _, value = line.partition(": ")
            if key == name:
                return value.strip('"')
        return None

    def _get(self, path: str, *, method: str = "GET") -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2.0)
        try:
            connection.request(method, path)
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise AdminUnreachable(str(error)) from error
        finally:
            connection.close()


def _collect_details(part: Any, found: list[str]) -> None:
    """Every `error_state.details` in a config dump, however deep."""
    if isinstance(part, dict):
        match part:
            case {"error_state": {"details": str(details)}}:
                found.append(details)
            case _:
                pass
        for value in part.values():
            _collect_details(value, found)
    elif isinstance(part, list):
        for value in part:
            _collect_details(value, found)
