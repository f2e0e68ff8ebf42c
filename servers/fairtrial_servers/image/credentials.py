"""Who we are at a registry, as `docker login` has noted it in config.json."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from fairtrial_servers.errors import ServerError

_HUB_KEY = "https://index.docker.io/v1/"


@dataclass(frozen=True)
class Credentials:
    """`identity` is a token that is exchanged for others; it stands in for a password."""

    user: str = ""
    password: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)


def credentials(registry: str) -> Credentials | None:
    """What docker's config.json has for a registry; None where there is nothing. Raises ServerError."""
    folder = os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker"
    file = Path(folder) / "config.json"
    try:
        said = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ServerError(
            f"cannot read {file}: {getattr(error, 'strerror', '') or 'not valid JSON'}"
        ) from None
    if not isinstance(said, dict):
        raise ServerError(f"cannot read {file}: it holds no JSON object")
    config = cast("dict[str, Any]", said)
    keys = [_HUB_KEY, "docker.io"] if registry == "docker.io" else [registry]
    for key in [*keys, *(f"https://{key}" for key in keys), *(f"https://{key}/" for key in keys)]:
        helper = _table(config.get("credHelpers")).get(key) or (
            config.get("credsStore") if key in (*keys, f"https://{registry}") else None
        )
        found = _from_helper(str(helper), key) if helper else None
        found = found or _from_file(_table(config.get("auths")).get(key), file, key)
        if found is not None:
            return found
    return None


def _from_file(said: object, file: Path, key: str) -> Credentials | None:
    entry = _table(said)
    if entry.get("identitytoken"):
        return Credentials(identity=str(entry["identitytoken"]))
    if entry.get("auth"):
        try:
            user, colon, password = base64.b64decode(str(entry["auth"])).decode().partition(":")
        except ValueError:
            colon = user = password = ""
        if not colon:
            raise ServerError(f"{file}: the entry of {key} is damaged; run `docker login {key}` again")
        return Credentials(user, password.rstrip("\0"))
    if entry.get("username") and entry.get("password"):
        return Credentials(str(entry["username"]), str(entry["password"]))
    return None


def _from_helper(helper: str, key: str) -> Credentials | None:
    if not helper.replace("-", "").replace("_", "").isalnum():
        raise ServerError(f"docker's config.json names the credential helper {helper!r}, which is no name")
    command = f"docker-credential-{helper}"
    try:
        ended = subprocess.run(
            [command, "get"], input=key, capture_output=True, text=True, timeout=60, check=False
        )
        if ended.returncode != 0:
            return None  # the helper has nothing for this registry
        said = _table(json.loads(ended.stdout))
    except (OSError, ValueError, subprocess.TimeoutExpired):
        raise ServerError(
            f"docker's config.json wants {command} to be asked for {key}, which did not answer; "
            f"see that it is installed and works"
        ) from None
    user, secret = str(said.get("Username", "")), str(said.get("Secret", ""))
    if user == "<token>":
        return Credentials(identity=secret)
    return Credentials(user, secret) if secret else None


def _table(said: object) -> dict[str, Any]:
    return cast("dict[str, Any]", said) if isinstance(said, dict) else {}
