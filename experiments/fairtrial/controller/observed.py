"""A run's recorded parts as they are judged: labelled, and with a stored baseline beside them.

What is added to a part depends on it and the journal alone, so that whoever judges it again sees the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fairtrial_loadtests.parts import parts_from

from fairtrial.controller.segments import labelled
from fairtrial.evidence.arrow import Tabular
from fairtrial.evidence.sources import read_part
from fairtrial.evidence.stored import Beside
from fairtrial.journal.entries import Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.interface import RunJournal


class Observed:
    """Takes each part once, in order. `measure` times the reference where no earlier process has."""

    def __init__(
        self, folder: RunFolder, journal: RunJournal, measure: Callable[[], float] | None = None
    ) -> None:
        self._folder = folder
        self._journal = journal
        self._measure = measure
        self._beside = Beside(read_part(folder.stored)) if folder.stored.is_file() else None
        self._timings = timings_of(journal) if self._beside is not None else {}
        self._part = 0

    def __call__(self, part: Tabular) -> Tabular:
        seen = labelled(part, lambda: self._journal.entries(Kind.DONE, Kind.INTENDED))
        if self._beside is None:
            return seen
        number, self._part = self._part, self._part + 1
        if number not in self._timings and self._measure is not None:
            self._timings[number] = note_timing(self._journal, number, self._measure())
        return self._beside(seen, self._timings.get(number))

    def recorded(self) -> Iterator[Tabular]:
        """All that the folder has. Raises UsageError for a part that cannot be read."""
        return (self(read_part(path)) for path in parts_from(self._folder.observations, 0))


def note_timing(journal: RunJournal, part: int, seconds: float) -> float:
    """Journal what the reference took when a part had come."""
    journal.append(Kind.TIMED, {"part": part, "seconds": seconds})
    return seconds


def timings_of(journal: RunJournal) -> dict[int, float]:
    """Seconds of the reference, by part."""
    return {int(e.body["part"]): float(e.body["seconds"]) for e in journal.entries(Kind.TIMED)}
