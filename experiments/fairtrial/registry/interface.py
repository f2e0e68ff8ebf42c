"""What a run asks of a model registry, whichever it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Registered:
    """What became of a promotion."""

    model: str
    version: str
    alias: str
    before: str | None  # the version that had the alias; None if there was none

    @property
    def sentence(self) -> str:
        """ "wine 7 is champion, which was 6"."""
        was = "" if self.before is None else f", which was {self.before}"
        return f"{self.model} {self.version} is {self.alias}{was}"


class Registry(Protocol):
    """Both may be called again after a crash: what is there is found, not made twice."""

    def check(self) -> None:
        """Ask whether it answers, and lets us in. Raises NotReadyError in words."""
        ...

    def promote(self, artifacts: Path, *, run: str, tags: Mapping[str, str]) -> Registered:
        """Make these files a version, unless this run has made one already, and move the alias to it.

        artifacts: the model's file or folder. run: id of the run, by which its version is found again.
        Raises NotReadyError in words.
        """
        ...
