"""Real runs of real experiments, for tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fairtrial.clock import SystemClock
from fairtrial.journal.entries import Entry, Kind
from fairtrial.journal.store import Journal

FAIRTRIAL = (sys.executable, "-m", "fairtrial")


def fairtrial(*args: str | Path, cwd: Path, timeout: float = 110) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [*FAIRTRIAL, *map(str, args)], cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False
    )


def only_run(project: Path) -> Path:
    (folder,) = (project / "runs").iterdir()
    return folder


def journal_of(run: Path) -> list[Entry]:
    journal = Journal.open(run / "journal.db", SystemClock())
    try:
        return journal.entries()
    finally:
        journal.close()


def kinds(run: Path) -> Counter[Kind]:
    return Counter(entry.kind for entry in journal_of(run))


def observations(run: Path) -> pa.Table:
    return pa.concat_tables(
        pq.read_table(part) for part in sorted((run / "observations").glob("part-*.parquet"))
    )


def processes_of(run: Path) -> list[int]:
    """Processes that name the run's folder in their command line."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(run).encode() in command:
                found.append(int(entry.name))
    return found


def assert_no_orphans(run: Path, within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while processes := processes_of(run):
        assert time.monotonic() < deadline, f"processes {processes} outlived run {run.name}"
        time.sleep(0.05)


def ready(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What `fairtrial serve --output json` says once it serves."""
    assert process.stdout is not None
    document = ""
    while not document.endswith("}\n") or document.count("{") != document.count("}"):
        line = process.stdout.readline()
        assert line, process.communicate()
        document += line
    return json.loads(document)
