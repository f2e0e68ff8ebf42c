"""Where an image is: `REGISTRY/NAME[:TAG][@DIGEST]`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fairtrial_servers.errors import ServerError
from fairtrial_servers.image.oci import is_digest

_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?")
_DOCKER_HUB = "docker.io"
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Reference:
    registry: str  # host and port
    name: str
    tag: str  # "" where only a digest is said
    digest: str  # "" where only a tag is said

    @property
    def version(self) -> str:
        """What the registry is asked for: the digest where one is said."""
        return self.digest or self.tag

    @property
    def is_local(self) -> bool:
        """Whether the registry is on this machine, and so is spoken to without TLS."""
        return re.sub(r":[0-9]+$", "", self.registry) in _LOCAL

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.registry}/{self.name}{tag}" + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference:
    """Docker's rules: no registry means Docker Hub, no tag `latest`. Raises ServerError."""
    rest, _, digest = text.partition("@")
    first, slash, tail = rest.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry, path = first, tail
    else:
        registry, path = _DOCKER_HUB, rest
    name, _, tag = path.partition(":")
    if registry == _DOCKER_HUB and "/" not in name:
        name = f"library/{name}"
    if (
        not _HOST.fullmatch(registry)
        or not _NAME.fullmatch(name)
        or (tag and not _TAG.fullmatch(tag))
        or ("@" in text and not is_digest(digest))
        or path.endswith(":")
    ):
        # Not the text itself: someone may have written a password into it.
        shown = text.rpartition("@")[2] if "@" in text and not is_digest(digest) else text
        raise ServerError(
            f"{shown!r} names no image: expected REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:..., in "
            f"lower case and without a user or password (these come from docker's config.json)"
        )
    return Reference(registry, name, tag or ("" if digest else "latest"), digest)
