"""What a check has to say of a file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    UNSAFE = "unsafe"  # it asks for what no model needs
    UNKNOWN = "unknown"  # it cannot be examined, and so nobody can say
    DAMAGED = "damaged"  # it is broken: it would not load either


@dataclass(frozen=True)
class Finding:
    """One objection. `trail` leads to the file through what it is packed in."""

    trail: tuple[str, ...]
    kind: Kind
    what: str  # continues the sentence that the file's name begins: "refers to os.system"
    why: str  # "which runs commands"; "" where `what` says it all
    name: str | None = None  # what `allow` must name to let it pass; None where nothing does
    module: str = ""  # where that name is one in a module, and the module may be allowed as a whole

    @property
    def file(self) -> str:
        return " > ".join(self.trail)

    def __str__(self) -> str:
        return f"{self.file}: {self.what}, {self.why}" if self.why else f"{self.file}: {self.what}"


class TooMuch(Exception):
    """More to unfold or to go through than is allowed; the scan ends here."""


class Unreadable(Exception):
    """The file cannot be examined, though it may well load: the message continues "cannot be examined: "."""


class Damaged(Exception):
    """The file is broken; the message continues "cannot be read: "."""


def in_a_line(error: BaseException, most: int = 160) -> str:
    """What an error of any kind says, in one line."""
    return ((str(error) or type(error).__name__).splitlines() or [""])[0][:most]
