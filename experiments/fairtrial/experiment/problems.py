"""Mistakes in an experiment file, each with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from fairtrial.errors import UsageError
from fairtrial.experiment.quantities import printable


@dataclass(frozen=True)
class Problem:
    """One mistake. Line and column count from 1; `path` is empty when the YAML itself is broken."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def as_json(self) -> dict[str, str | int]:
        """For `--output json`."""
        return asdict(self)

    def __str__(self) -> str:
        path = f" {printable(self.path)}" if self.path else ""
        return f"{self.file}:{self.line}:{self.column}{path}: {printable(self.message)}"


class ExperimentFileError(UsageError):
    """An experiment file that cannot be used; `problems` are in the order of the file."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems]
        if len(lines) > 1:
            lines.insert(0, f"{file} has {len(lines)} mistakes:")
        super().__init__("\n".join(lines))
