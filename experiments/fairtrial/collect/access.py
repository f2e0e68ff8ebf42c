"""Who may do what at a collector: two secrets, each of which may be left out.

Readers and those who post feedback send a token. Seldon's request logger sends no headers, so that its
secret is the first part of the address that it posts to; it stands in the SeldonDeployment, and lets events
in and nothing out.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping

from fairtrial.errors import UsageError

TOKEN_VARIABLE, PATH_VARIABLE = "FAIRTRIAL_COLLECTOR_TOKEN", "FAIRTRIAL_COLLECTOR_PATH"
_PATH = re.compile(r"[A-Za-z0-9_.~-]{16,200}")
_TOKEN = re.compile(r"[\x21-\x7e]{16,4096}")
_BEARER = "bearer "


class Access:
    """What is asked for is compared in constant time, and never told."""

    def __init__(self, token: str | None = None, path: str | None = None) -> None:
        """Raises UsageError for secrets that are too short or cannot be sent."""
        if token is not None and not _TOKEN.fullmatch(token):
            raise UsageError(f"{TOKEN_VARIABLE}: expected 16 characters or more, none of them a space")
        if path is not None and not _PATH.fullmatch(path):
            raise UsageError(
                f"{PATH_VARIABLE}: expected 16 characters or more, of letters, digits, and . _ ~ -"
            )
        self._token = token.encode() if token is not None else None
        self._path = path.encode() if path is not None else None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Access:
        """As the environment says; an empty variable says nothing. Raises as the constructor does."""
        return cls(environment.get(TOKEN_VARIABLE) or None, environment.get(PATH_VARIABLE) or None)

    def event_path(self, path: str) -> str | None:
        """The address of an event less the secret; None where that is asked for and missing."""
        if self._path is None:
            return path
        said, slash, rest = path.removeprefix("/").partition("/")
        if not hmac.compare_digest(said.encode("latin-1"), self._path):
            return None
        return slash + rest if rest else "/"

    def knows(self, authorization: str | None) -> bool:
        """Whether the header has the token, where one is asked for."""
        if self._token is None:
            return True
        said = authorization or ""
        if said[: len(_BEARER)].lower() != _BEARER:
            return False
        return hmac.compare_digest(said[len(_BEARER) :].strip().encode(), self._token)
