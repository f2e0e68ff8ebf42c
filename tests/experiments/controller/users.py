"""Users of a split, who are not ours: they send rows, and tell the collector later what was right."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq


class Users:
    """Some threads that each send one request after the other, through the split at `port`."""

    def __init__(self, port: int, collector: int, data: Path, *, rate: float, threads: int = 4) -> None:
        table = pq.read_table(data)
        self._truth = table.column("target").to_pylist()
        features = table.drop_columns(["target"]).to_pydict()
        self._rows = list(zip(*features.values(), strict=True))
        self._port, self._collector = port, collector
        self._pause = threads / rate
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._use, daemon=True) for _ in range(threads)]
        self.answered = 0

    @contextmanager
    def at_work(self) -> Generator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def _use(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            number = next(self._numbers)
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._ask(number)
            due += self._pause
            self._stop.wait(max(0.0, due - time.monotonic()))

    def _ask(self, number: int) -> None:
        row = number % len(self._rows)
        values = self._rows[row]
        tensor = {"name": "x", "shape": [1, len(values)], "datatype": "FP64", "data": [values]}
        body = {"parameters": {"customer": f"c{number % 50}"}, "inputs": [tensor]}
        status = _post(self._port, "/v2/models/live/infer", body, {"Seldon-Puid": f"request-{number}"})
        if status == 200:
            self.answered += 1
            _post(self._collector, "/feedback", {"id": f"request-{number}", "truth": self._truth[row]}, {})


def _post(port: int, path: str, body: object, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()
