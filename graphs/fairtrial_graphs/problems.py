"""Mistakes in a manifest, each with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Problem:
    """One mistake. Line and column count from 1, and are 0 where no line can be told."""

    file: str
    line: int
    column: int
    path: str  # of the field, as in spec.predictors.1.traffic; empty when the text itself is broken
    message: str

    def as_json(self) -> dict[str, str | int]:
        return asdict(self)

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{where}{f' {self.path}' if self.path else ''}: {self.message}"


class ManifestError(ValueError):
    """The text holds no manifest that can be used; `problems` are all that is wrong, in the file's order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def at_file(source: str, message: str) -> ManifestError:
    """A mistake of the file as a whole."""
    return ManifestError([Problem(source, 0, 0, "", message)])
