"""Observations that a test writes, and that an operator reads: good ones, bad ones, late ones, none.

A folder for each experiment stands for the source. What is in it outlives the operator, as a database does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from experiments.streams import Load
from fairtrial.clock import Clock
from fairtrial.controller.load_session import StartableLoad
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.interface import RunJournal
from fairtrial.operator.feed import AwayError, FeedFactory
from fairtrial.planning.plan import Plan
from fairtrial_loadtests.parts import part_path, parts_from
from fairtrial_loadtests.plan import LoadPlan

_TROUBLE, _DEAD, _OVER = "trouble", "dead", "over"

#: True of the arms; known for it after some 12 seconds.
GOOD, SAME, BAD = (0.90, 0.94), (0.93, 0.93), (0.94, 0.90)


class Source:
    """The observations of one experiment, as the test has them come."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def bring(
        self,
        seconds: float,
        accuracy: tuple[float, float] = GOOD,
        arms: tuple[str, str] = ("v1", "v2"),
        rows: int = 4000,
    ) -> None:
        """So many seconds of intended time more, all at once."""
        self._write(_observations(seconds, accuracy, arms, rows, begun=self._seconds()), seconds)

    def bring_late(self, seconds: float, accuracy: tuple[float, float]) -> None:
        """Observations of a time that has been judged."""
        self._write(_observations(seconds, accuracy, ("v1", "v2"), 4000, begun=0.0), 0.0)

    def _write(self, table: pa.Table, seconds: float) -> None:
        number = len(list(parts_from(self.folder, 0)))
        table = table.replace_schema_metadata({"seconds": str(seconds)})
        partial = self.folder / f".{number}"
        pq.write_table(table, partial)
        os.replace(partial, part_path(self.folder, number))

    def has_trouble(self, why: str | None) -> None:
        """The source says so, and goes on being asked."""
        self._set(_TROUBLE, why)

    def dies(self, why: str | None) -> None:
        """What reads it ends, until it is None again."""
        self._set(_DEAD, why)

    def ends(self) -> None:
        self._set(_OVER, "over")

    def _set(self, what: str, why: str | None) -> None:
        if why is None:
            (self.folder / what).unlink(missing_ok=True)
        else:
            (self.folder / what).write_text(why)

    def _seconds(self) -> float:
        parts = parts_from(self.folder, 0)
        return sum(float(pq.read_schema(part).metadata[b"seconds"]) for part in parts)


def _observations(
    seconds: float, accuracy: tuple[float, float], arms: tuple[str, str], rows: int, *, begun: float
) -> pa.Table:
    """Pairs, 100 a second, of rows in turn; of each hundred just as many are right as there should be."""
    table = Load(
        rate=100.0, seconds=seconds, split=0.0, accuracy=accuracy, rows=rows, seed=int(begun) + 7
    ).table()
    first = int(begun * 100)
    arm = [arms[each == "v2"] for each in table["arm"].to_pylist()]
    pair = [each + first for each in table["pair"].to_pylist()]
    columns = {
        "arm": arm,
        "pair": pair,
        "id": [f"{number}-{name}" for number, name in zip(pair, arm, strict=True)],
        "time": [each + begun for each in table["time"].to_pylist()],
        "row": [number % rows for number in pair],
        "score": [
            float(number * (1, 37)[name == arms[1]] % 100 < 100 * accuracy[name == arms[1]])
            for number, name in zip(pair, arm, strict=True)
        ],
    }
    for name, values in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    return table


class ScriptedFeed:
    """Implements `Feed`: hands on what the source has, part by part."""

    def __init__(self, source: Path, folder: RunFolder) -> None:
        self._source = source
        self._folder = folder

    def restore(self) -> None:
        if (self._source / _DEAD).exists():
            raise AwayError((self._source / _DEAD).read_text())
        for number, part in enumerate(parts_from(self._source, 0)):
            os.link(part, part_path(self._folder.observations, number))

    def load(self, plan: LoadPlan) -> StartableLoad:
        return _ScriptedLoad(self._source, plan)


class _ScriptedLoad:
    def __init__(self, source: Path, plan: LoadPlan) -> None:
        self._source = source
        self._plan = plan
        self._next = plan.first_part
        self._stopped = False

    def start(self) -> None:
        """Nothing runs."""

    @property
    def alive(self) -> bool:
        return not self._stopped and not any((self._source / each).exists() for each in (_DEAD, _OVER))

    @property
    def returncode(self) -> int | None:
        if self.alive:
            return None
        return 1 if (self._source / _DEAD).exists() else 0

    @property
    def error(self) -> str:
        found = [self._source / each for each in (_TROUBLE, _DEAD)]
        return next((each.read_text() for each in found if each.exists()), "")

    def poll(self) -> Sequence[Path]:
        fresh: list[Path] = []
        for part in parts_from(self._source, self._next):
            target = part_path(self._plan.output, self._next)
            os.link(part, target)
            fresh.append(target)
            self._next += 1
        return fresh

    def incidents(self) -> Sequence[str]:
        return ()

    def stop(self) -> int:
        self._stopped = True
        return 0


def feeds(sources: Path) -> FeedFactory:
    """For each experiment the folder of its run's first observations, by the name of the experiment."""

    def new(plan: Plan, folder: RunFolder, journal: RunJournal, clock: Clock) -> ScriptedFeed:
        return ScriptedFeed(Source(sources / folder.id).folder, folder)

    return new
