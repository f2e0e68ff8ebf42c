"""How a registry is told who we are: basic, or a bearer token from the server that the registry names."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from fairtrial_servers.errors import ModelError
from fairtrial_servers.image.credentials import Credentials, credentials
from fairtrial_servers.image.reference import Reference
from fairtrial_servers.store.interface import UnreachableError

_PARAMETER = re.compile(r'([a-zA-Z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


@dataclass(frozen=True)
class Challenge:
    scheme: str
    parameters: dict[str, str]


class RegistryError(ModelError):
    """A registry that cannot be reached, refuses, or answers what no registry answers."""


def challenge(header: str) -> Challenge:
    """What a WWW-Authenticate header asks for."""
    scheme, _, rest = header.strip().partition(" ")
    found = {key.lower(): quoted or plain for key, quoted, plain in _PARAMETER.findall(rest)}
    return Challenge(scheme.lower(), found)


class UnreachableRegistryError(RegistryError, UnreachableError):
    """A registry that does not answer: what it has may well be there."""


class Authenticator:
    """Holds the Authorization header of one registry. Credentials are looked up when first asked for."""

    def __init__(
        self,
        reference: Reference,
        client: httpx.Client,
        *,
        insecure: bool,
        look_up: Callable[[str], Credentials | None] = credentials,
    ) -> None:
        self._reference = reference
        self._client = client
        self._insecure = insecure
        self._look_up = look_up
        self.header: str | None = None

    def answer(self, said: str, actions: str) -> bool:
        """Set the header as the challenge wants it; False where there is nothing to set.

        `actions` is what a token must allow, as in `pull,push`. Raises RegistryError.
        """
        asked = challenge(said)
        known = self._look_up(self._reference.registry)
        if asked.scheme == "basic":
            if known is None or not known.user:
                return False
            self.header = _basic(known)
            return True
        if asked.scheme == "bearer":
            self.header = f"Bearer {self._token(asked.parameters, known, actions)}"
            return True
        return False

    def _token(self, asked: dict[str, str], known: Credentials | None, actions: str) -> str:
        realm = asked.get("realm", "")
        where = urlsplit(realm)
        registry = self._reference.registry
        if where.scheme != "https" and not (where.scheme == "http" and self._insecure):
            raise RegistryError(f"{registry} wants its tokens asked for at {realm!r}: only https is answered")
        scope = f"repository:{self._reference.name}:{actions}"
        service = asked.get("service", "")
        try:
            if known is not None and known.identity:
                form = {
                    "grant_type": "refresh_token",
                    "service": service,
                    "scope": scope,
                    "client_id": "fairtrial",
                    "refresh_token": known.identity,
                }
                answer = self._client.post(realm, data=form)
            else:
                headers = {"Authorization": _basic(known)} if known is not None and known.user else {}
                # A realm may have a query of its own, which `params` would drop.
                url = httpx.URL(realm).copy_merge_params({"service": service, "scope": scope})
                answer = self._client.get(url, headers=headers)
        except httpx.HTTPError as error:
            raise RegistryError(
                f"{where.netloc}, which gives out tokens for {registry}, cannot be reached: "
                f"{type(error).__name__}"
            ) from None
        if answer.status_code in (400, 401, 403):
            who = "without a login" if known is None else "with the login in docker's config.json"
            raise RegistryError(
                f"{registry} gives no token to {actions} {self._reference.name} {who}: "
                f"run `docker login {registry}`"
            )
        try:
            said: Any = answer.json()
        except ValueError:
            said = None
        held = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
        token = held.get("token") or held.get("access_token")
        if answer.is_error or not isinstance(token, str) or not token.isprintable():
            raise RegistryError(f"{where.netloc} answered {answer.status_code} and no token for {registry}")
        return token


def _basic(known: Credentials) -> str:
    return "Basic " + base64.b64encode(f"{known.user}:{known.password}".encode()).decode()
