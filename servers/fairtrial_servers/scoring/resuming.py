"""What an output does so that a job can be killed at any moment, started again, and come to the same end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fairtrial_servers.scoring.arrow import Batch, Schema
from fairtrial_servers.scoring.errors import ScoreError
from fairtrial_servers.scoring.options import Options

Identity = Mapping[str, Any]


@dataclass(frozen=True)
class Standing:
    """How far earlier runs of the same job came.

    `written`: rows that are in the output for good; `predicted`: rows whose predictions are known.
    """

    written: int = 0
    predicted: int = 0
    complete: bool = False
    without: int = 0  # rows that were written without a prediction


class Output(Protocol):
    """The one place that a job writes to, held by this process alone until `release`."""

    @property
    def name(self) -> str: ...

    def stand(self, identity: Identity, *, restart: bool) -> Standing:
        """Take up the work where it stands, or begin.

        Raises ScoreError when what is there is not of this very job and `restart` does not say to drop it.
        """
        ...

    def layout(self) -> Schema | None:
        """The prediction columns of an earlier run, if there was one."""
        ...

    def predicted(self) -> Iterator[Batch]:
        """The predictions of earlier runs for the rows after those that are written, batch by batch."""
        ...

    def begin(self, schema: Schema) -> None:
        """Make ready for rows of this schema."""
        ...

    def keep(self, first: int, predictions: Batch) -> None:
        """Have the predictions for the rows from `first` on kept, now or soon."""
        ...

    def write(self, batch: Batch, end: int) -> None:
        """Write rows, the last of which is row `end` - 1."""
        ...

    def finish(self, record: Identity) -> None:
        """Have the output appear, whole."""
        ...

    def release(self) -> None: ...


def open_output(options: Options) -> Output:
    """Raises ScoreError if another job is at it."""
    if options.out.kind == "sql":
        from fairtrial_servers.scoring.sql_output import SqlOutput

        return SqlOutput(options.out)
    from fairtrial_servers.scoring.file_output import FileOutput

    return FileOutput(options.out, options.keep_every)


def check_same(name: str, before: Identity, now: Identity) -> None:
    """Raises ScoreError that says in what an unfinished or finished output differs from this job."""
    words = {"model": "the model", "data": "the data", "options": "the options"}
    changed = [words.get(key, key) for key in now if before.get(key) != now[key]]
    if not changed:
        return
    details = ""
    if "the options" in changed:
        old, new = before.get("options", {}), now["options"]
        details = f" ({', '.join(sorted(key for key in new if old.get(key) != new[key]))})"
    raise ScoreError(
        f"{name} was begun by a job that differs in {' and '.join(changed)}{details}: "
        f"--restart drops what that job wrote and begins anew"
    )
