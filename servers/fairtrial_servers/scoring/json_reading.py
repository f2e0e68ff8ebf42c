"""Rows from JSON lines, plain or gzipped, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import json

from fairtrial_servers.scoring.arrow import Batch
from fairtrial_servers.scoring.errors import ScoreError
from fairtrial_servers.scoring.text_reading import BLOCK, UNREADABLE, TextSource, with_types


class JsonLinesSource(TextSource):
    """One JSON object in each line."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.schema = pa.schema([])
        try:
            with self._reader("infer") as reader:
                self.schema = reader.schema
        except UNREADABLE as error:
            if "Empty JSON" not in str(error):
                raise ScoreError(f"{self.path}: {self.words(error)}") from error

    def expect(self, numbers: Sequence[str], texts: Sequence[str], features: Sequence[str]) -> None:
        del texts, features  # a number in JSON is none of those
        number = [name for name in numbers if not pa.types.is_boolean(self.schema.field(name).type)]
        self.schema = with_types(self.schema, number, ())

    def blocks(self, columns: Sequence[str] | None) -> Iterator[Batch]:
        if not len(self.schema):
            return
        for batch in self.reading(lambda: self._reader("error")):
            yield batch.select(columns) if columns is not None else batch

    def _reader(self, unexpected: str) -> Any:
        return json.open_json(
            self.open_bytes(),
            read_options=json.ReadOptions(use_threads=False, block_size=BLOCK),
            parse_options=json.ParseOptions(
                explicit_schema=self.schema, unexpected_field_behavior=unexpected
            ),
        )
