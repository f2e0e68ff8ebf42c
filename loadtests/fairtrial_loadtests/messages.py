"""What a master and its workers say to one another, as custom messages of Locust's protocol.

From a worker:

- `HERE`, once a second while it sends no load: `token`, `name`, `pid`, `release`; the `session` that it was
  planned for and whether it is `ready`; the digest of the data that it `has`.
- `REFUSED`: why it cannot send the load of `session`, as `code` and `sentence`.
- `BATCH`: `session`, `number`, and the fields of a `Batch`.
- `LEAVING`: it was told to end.

From the master:

- `PLAN`: `session`, `plan`, `share`, `of`, `first`; the `digest` of its files, and the `files` by what each
  is for where the worker lacks them.
- `GO`: begin `session`.
- `ACK`: all batches of `session` up to `number` are here.
- `STOP`: no arrival of `session` from `at` on, for a `reason`.
- `DROP`: `session` is not to be sent any more; its arrivals are another's, or come again.
- `END`: it is over.

Any of them may be lost, or come twice. What a session is comes with its key: a message of another is old.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import pyarrow as pa
from pyarrow import ipc

from fairtrial_loadtests.arrivals import Boundary
from fairtrial_loadtests.observation import SCHEMA, Table

HERE = "fairtrial-here"
PLAN = "fairtrial-plan"
REFUSED = "fairtrial-refused"
GO = "fairtrial-go"
BATCH = "fairtrial-batch"
ACK = "fairtrial-ack"
STOP = "fairtrial-stop"
LEAVING = "fairtrial-leaving"
DROP = "fairtrial-drop"
END = "fairtrial-end"


@dataclass(frozen=True)
class Batch:
    """What a worker recorded since it last told."""

    table: bytes  # an Arrow stream in the columns of `SCHEMA`, times in seconds since the load's start
    time: float  # everything of the worker's share before this moment of the schedule has been told
    arrival: int  # and everything of it below this arrival
    reason: str = ""  # why the worker's load has ended; "" while it goes on
    bug: str = ""  # what broke it
    cpu: float = 0.0  # seconds that its load took, once it has ended

    @property
    def reached(self) -> Boundary:
        return Boundary(self.time, self.arrival)

    def to_message(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Batch:
        """Raises KeyError for what is no batch."""
        return cls(**{name: message[name] for name in cls.__dataclass_fields__})


def to_bytes(table: Table) -> bytes:
    sink = io.BytesIO()
    with ipc.new_stream(sink, SCHEMA) as stream:
        stream.write_table(table)
    return sink.getvalue()


def from_bytes(content: bytes) -> Table:
    """Raises ArrowInvalid for what is no Arrow stream in the columns of `SCHEMA`."""
    table = ipc.open_stream(content).read_all()
    if not table.schema.equals(SCHEMA):
        raise pa.ArrowInvalid(f"observations with the columns {', '.join(table.column_names)}")
    return table


def release() -> str:
    """What master and workers must have in common, so that their schedules are the same."""
    return ", ".join(f"{name} {version(name)}" for name in ("fairtrial-loadtests", "numpy"))
