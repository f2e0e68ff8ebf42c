"""What a run and continuous delivery ask of a model registry, whichever it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class Version:
    """One version of the model, as the registry has it now."""

    model: str
    version: str
    uri: str  # what the model store fetches: models:/wine/3, s3://...; "" where the registry has no files
    created: float  # seconds since the epoch
    tags: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.model} {self.version}"


class Registry(Protocol):
    """One model of a registry.

    Everything may be called again after a crash: what is there is found, not made twice. All of it raises
    NotReadyError, in words, where the registry does not answer, lets nobody in, or refuses.
    """

    def check(self) -> None:
        """Ask whether it answers, and lets us in."""
        ...

    def promote(self, artifacts: Path, *, run: str, tags: Mapping[str, str]) -> Registered:
        """Make these files a version, unless this run has made one already, and move the alias to it.

        The alias is the one that the section of the file names. artifacts: the model's file or folder.
        run: id of the run, by which its version is found again. Raises UsageError where the section does not
        say where files are put.
        """
        ...

    def holder(self, alias: str) -> Version | None:
        """The version that has this alias; None where none has, or there is no such model yet."""
        ...

    def version(self, version: str) -> Version:
        """Raises NotReadyError where there is none."""
        ...

    def versions(self) -> list[Version]:
        """All there are, newest first; none where there is no such model yet."""
        ...

    def move(self, alias: str, version: str) -> str | None:
        """Give the alias to this version, which takes it from any other in one step.

        Returns the version that had it before; None if none had, or this one did already.
        """
        ...

    def drop(self, alias: str) -> None:
        """Nobody has the alias any more."""
        ...

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        """Set these tags of a version; its others stay. What a registry cannot write is written as it can."""
        ...

    def attach(self, version: str, files: Sequence[Path], *, run: str) -> str:
        """Put files (verdict.json, report.html) beside a version; a second time for `run` replaces them.

        Returns where they are, as a URI. Raises UsageError where it has no place for files, and never will.
        """
        ...
