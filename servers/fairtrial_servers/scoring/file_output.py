"""Output to a file or a folder: beside it, until it is whole, a folder with all that a later start needs.

    .NAME.scoring/lock                     held by the process that works on it
                  journal.json             what job this is: model, data, options, each by digest
                  rows-000000065536.arrow  predictions for the rows from that one on
                  out                      the output so far, which a later start writes anew
                  whole                    the record of `out`, which is complete and about to be renamed
    NAME.scoring.json                      once NAME is complete: what it was made from

Predictions are what costs; they are kept, and a later start asks the model for no row twice. The output is
always written by one process from its beginning, so that it is the same byte for byte however often it took.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import ipc, parquet

from fairtrial_servers.scoring.arrow import Batch, Schema
from fairtrial_servers.scoring.errors import ScoreError, first_line, writing_failed
from fairtrial_servers.scoring.lock import Lock
from fairtrial_servers.scoring.options import Location
from fairtrial_servers.scoring.resuming import Identity, Standing, check_same
from fairtrial_servers.scoring.writing import FolderWriter, Writer, open_writer, part_name, sync, write_whole

#: Bytes of predictions that are held before they are kept, however little time has passed.
_MOST_PENDING = 32 << 20


class FileOutput:
    """See `resuming.Output`."""

    def __init__(self, where: Location, keep_every: float) -> None:
        """keep_every: seconds of predictions that may be lost; more where a job takes hours."""
        self.name = where.name
        self._where = where
        self._path = where.path
        self._work = where.path.with_name(f".{where.path.name}.scoring")
        self._record = where.path.with_name(f"{where.path.name}.scoring.json")
        self._lock = Lock(self._work / "lock", self.name)
        self._keep_every = keep_every
        self._began = self._kept_at = time.monotonic()
        self._pending: list[Batch] = []
        self._pending_first = 0
        self._parts: list[tuple[int, Path]] = []
        self._files = 0  # of a folder, that are whole
        self._written = 0
        self._writer: Writer | None = None
        self._finished = False

    def stand(self, identity: Identity, *, restart: bool) -> Standing:
        journal = self._work / "journal.json"
        if restart:
            self._drop()
        elif journal.exists():
            check_same(self.name, self._read(journal), identity)
            if self._whole.exists() and not self._made.exists():
                # Killed after the output appeared, before the record of it did.
                self._whole.rename(self._record)
                return self._complete(identity)
            self._whole.unlink(missing_ok=True)
            return self._take_up()
        elif self._path.exists():
            return self._complete(identity)
        write_whole(journal, json.dumps(identity, indent=2).encode())
        return Standing()

    def layout(self) -> Schema | None:
        return ipc.open_file(self._parts[0][1]).schema if self._parts else None

    def predicted(self) -> Iterator[Batch]:
        for first, part in self._parts:
            row = first
            for batch in self._batches(part):
                if row >= self._written:
                    yield batch
                row += batch.num_rows

    def begin(self, schema: Schema) -> None:
        try:
            if self._where.kind == "folder":
                self._made.mkdir(exist_ok=True)
                self._writer = FolderWriter(
                    self._made, self._where, schema, self._files, before_cut=self._save_pending
                )
            else:
                self._writer = open_writer(self._made, self._where, schema)
        except OSError as error:
            raise writing_failed(self._made, error) from error

    def keep(self, first: int, predictions: Batch) -> None:
        if not self._pending:
            self._pending_first = first
        self._pending.append(predictions)
        now = time.monotonic()
        due = now - self._kept_at >= max(self._keep_every, (now - self._began) / 100)
        if due or sum(batch.nbytes for batch in self._pending) > _MOST_PENDING:
            self._save_pending()

    def _save_pending(self) -> None:
        if not self._pending:
            return
        part = self._work / f"rows-{self._pending_first:012}.arrow"
        partial = part.with_suffix(".partial")
        try:
            with (
                pa.OSFile(str(partial), "wb") as file,
                ipc.new_file(file, self._pending[0].schema) as writer,
            ):
                for batch in self._pending:
                    writer.write_batch(batch)
            sync(partial)
            partial.rename(part)
            sync(self._work)
        except OSError as error:
            raise writing_failed(part, error) from error
        self._pending = []
        self._kept_at = time.monotonic()

    def write(self, batch: Batch, end: int) -> None:
        del end
        assert self._writer is not None
        try:
            self._writer.write(batch)
        except OSError as error:
            raise writing_failed(self._made, error) from error

    def finish(self, record: Identity) -> None:
        assert self._writer is not None
        try:
            self._writer.close()
            write_whole(self._whole, (json.dumps(record, indent=2) + "\n").encode())
            if self._path.is_dir() and self._where.kind == "folder":
                shutil.rmtree(self._path)  # a folder is not renamed onto one with something in it
            self._made.rename(self._path)
            sync(self._path.parent)
            self._whole.rename(self._record)
            sync(self._path.parent)
        except OSError as error:
            raise writing_failed(self._path, error) from error
        self._finished = True

    def release(self) -> None:
        if self._finished:
            self._drop()
        elif self._writer is not None:
            with contextlib.suppress(OSError):  # why is told already
                self._writer.abandon()
        self._lock.release()
        with contextlib.suppress(OSError):
            self._work.rmdir()  # which fails unless it is empty

    @property
    def _made(self) -> Path:
        return self._work / "out"

    @property
    def _whole(self) -> Path:
        return self._work / "whole"

    def _drop(self) -> None:
        (self._work / "journal.json").unlink(missing_ok=True)  # first, for without it the rest says nothing
        for path in self._work.iterdir():
            if path.name == "lock":
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _take_up(self) -> Standing:
        if self._where.kind == "folder":
            while (file := self._made / part_name(self._files)).exists():
                self._written += parquet.read_metadata(file).num_rows
                self._files += 1
        rows = without = 0
        for part in sorted(self._work.glob("rows-*.arrow")):
            first = int(part.stem.removeprefix("rows-"))
            if first != rows:
                break
            for batch in self._batches(part):
                without += batch.column(0).null_count if rows < self._written else 0
                rows += batch.num_rows
            self._parts.append((first, part))
        return Standing(self._written, rows, without=without)

    @staticmethod
    def _batches(part: Path) -> Iterator[Batch]:
        try:
            with pa.OSFile(str(part), "rb") as file:
                reader = ipc.open_file(file)
                for index in range(reader.num_record_batches):
                    yield reader.get_batch(index)
        except (OSError, pa.ArrowException) as error:
            raise ScoreError(f"{part} is damaged ({first_line(error)}): begin anew with --restart") from error

    def _complete(self, identity: Identity) -> Standing:
        if not self._record.exists():
            raise ScoreError(
                f"{self.name} is there already, and was not written by this job: give --out another "
                f"name, or replace it with --restart"
            )
        record = self._read(self._record)
        check_same(self.name, record, identity)
        self._finished = True
        return Standing(int(record.get("rows", 0)), complete=True)

    @staticmethod
    def _read(path: Path) -> Identity:
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ScoreError(f"{path} is damaged ({first_line(error)}): begin anew with --restart") from error
