"""Who sends a load: one process, several on this machine, or workers elsewhere that come to a master.

Imports nothing heavy: the controller reads it, and so does the command line.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import ip_address

from fairtrial_loadtests.errors import BadLoadError

#: Names the environment variable with what workers show to a master. Never an argument: others see those.
TOKEN = "FAIRTRIAL_LOAD_TOKEN"


@dataclass(frozen=True)
class Address:
    host: str
    port: int  # 0: any that is free

    def __str__(self) -> str:
        return f"{self.location}:{self.port}"

    @property
    def location(self) -> str:
        """The host as it stands in a URL."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def is_every(self) -> bool:
        """Whether it stands for all addresses of a machine, and so is none to connect to."""
        return self.host in ("0.0.0.0", "::", "*")

    @property
    def is_of_this_machine_only(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def read_address(text: str) -> Address:
    """HOST:PORT, an IPv6 address in brackets. Raises BadLoadError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise BadLoadError(f"{text!r} is not an address: give HOST:PORT, as in 10.0.0.7:5557.")
    return Address(host, int(port))


@dataclass(frozen=True)
class Crew:
    """`workers` processes that together send one schedule. `bind`: where those from elsewhere come to."""

    workers: int = 1
    bind: Address | None = None

    def check(self) -> None:
        """Refuse what cannot be: raises BadLoadError."""
        if self.workers < 1:
            raise BadLoadError("A load needs at least 1 worker.")
        if self.bind is not None and not self.bind.is_of_this_machine_only and not os.environ.get(TOKEN):
            raise BadLoadError(
                f"Whoever reaches {self.bind} could send observations: set {TOKEN} to a long random text, "
                "here and where the workers run."
            )

    @property
    def in_words(self) -> str:
        return "1 worker" if self.workers == 1 else f"{self.workers} workers"

    @property
    def is_alone(self) -> bool:
        """Whether the load is one process, which needs no master."""
        return self.workers == 1 and self.bind is None


ALONE = Crew()
