"""The platforms that images are made for, as the OCI and as uv call them."""

from __future__ import annotations

import platform as machine
from collections.abc import Mapping
from dataclasses import dataclass

from fairtrial_servers.errors import ServerError


@dataclass(frozen=True)
class Platform:
    name: str  # linux/amd64
    architecture: str
    machine: str  # what `platform.machine()` says there
    wheels: str  # what uv calls the wheels that run there

    def as_json(self) -> dict[str, str]:
        return {"architecture": self.architecture, "os": "linux"}

    def fits(self, said: Mapping[str, str]) -> bool:
        """Whether an image made for `said` runs there."""
        return (said.get("os"), said.get("architecture")) == ("linux", self.architecture)


# manylinux_2_28 is the C library of every Debian, Ubuntu and Red Hat that is still looked after.
PLATFORMS = (
    Platform("linux/amd64", "amd64", "x86_64", "x86_64-manylinux_2_28"),
    Platform("linux/arm64", "arm64", "aarch64", "aarch64-manylinux_2_28"),
)


def platform(name: str) -> Platform:
    """Raises ServerError for one that no image is made for."""
    for known in PLATFORMS:
        if known.name == name:
            return known
    raise ServerError(
        f"no image is made for {name!r}: known are {', '.join(known.name for known in PLATFORMS)}"
    )


def own_platform() -> Platform:
    """That of this machine's processor (the system is Linux in every image)."""
    arm = machine.machine().lower() in ("arm64", "aarch64")
    return PLATFORMS[1] if arm else PLATFORMS[0]
