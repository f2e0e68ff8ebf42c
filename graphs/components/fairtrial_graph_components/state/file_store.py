"""Counts in a JSON file, for one pod: its processes lock it in turn."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from fairtrial_graph_components.state.store import Counts, StoreError, counts_of


class FileStore:
    def __init__(self, folder: str, name: str) -> None:
        self._path = Path(folder) / (re.sub(r"[^A-Za-z0-9._-]", "_", name) + ".json")

    def add(self, batch: Mapping[str, float], number: int) -> Counts:
        del number  # the file is replaced whole or not at all, so no batch is in doubt
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.with_suffix(".lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                counts = self._read()
                if batch:
                    for field, value in batch.items():
                        counts[field] = counts.get(field, 0.0) + value
                    self._replace(counts)
                return counts
        except OSError as error:
            raise StoreError(f"{self._path} does not take the counts ({error.strerror})") from None

    def _read(self) -> Counts:
        try:
            held = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        except ValueError:
            held = None
        if not isinstance(held, dict):
            raise StoreError(f"{self._path} holds no counts: move it away to begin anew")
        return counts_of(held, str(self._path))

    def _replace(self, counts: Counts) -> None:
        new = self._path.with_suffix(".new")
        with new.open("w") as file:
            json.dump(counts, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
