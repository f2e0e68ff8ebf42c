"""A V2 server that does as it is told, and plans that load it."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fairtrial_loadtests.generated import rows_of
from fairtrial_loadtests.load import Load
from fairtrial_loadtests.part_writer import PartWriter
from fairtrial_loadtests.plan import Arrivals, LoadPlan, Requests, Split, Target
from fairtrial_loadtests.preparation import prepare
from fairtrial_loadtests.recorder import Recorder, table_of
from pyarrow import parquet

ROWS = 50


@dataclass
class StandIn:
    ports: dict[str, int]

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def control(self, name: str, **settings: object) -> None:
        """Set how one port behaves from now on, and empty its log."""
        body = json.dumps(settings).encode()
        urllib.request.urlopen(self.url(name) + "/control", data=body, timeout=10).close()

    def log(self, name: str) -> list[dict[str, Any]]:
        return self._log(name)["requests"]

    def connections(self, name: str) -> int:
        return self._log(name)["connections"] - 1  # the one that asks

    def _log(self, name: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.url(name) + "/log", timeout=10) as answer:
            return json.load(answer)


@pytest.fixture(scope="session", autouse=True)
def _bytecode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Load processes keep compiled modules for one another: a start costs half as much."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONDONTWRITEBYTECODE", "")
        environment.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("bytecode")))
        yield


@pytest.fixture(scope="session")
def _server() -> Iterator[StandIn]:
    script = Path(__file__).parent / "stand_in.py"
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield StandIn(json.loads(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def server(_server: StandIn) -> StandIn:
    for name in _server.ports:
        _server.control(name)
    return _server


@pytest.fixture(scope="session")
def rows_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ROWS` rows. The first feature is the row's number, and so is the target, but for row 0."""
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    number = np.arange(ROWS)
    table = {
        "a": number.astype(float),
        "b": number * 0.5,
        "user": [f"user-{n % 7}" for n in number],
        "label": np.where(number == 0, 99, number),
    }
    parquet.write_table(pa.table(table), path)
    return path


@pytest.fixture
def make_plan(server: StandIn, rows_file: Path, tmp_path: Path) -> Callable[..., LoadPlan]:
    """A plan of two arms; keywords replace what it says."""

    def make(
        *,
        rate: float = 300.0,
        duration: float = 0.5,
        process: Any = "poisson",
        share: float = 0.0,
        **changes: Any,
    ) -> LoadPlan:
        plan: dict[str, Any] = {
            "targets": tuple(Target(arm, server.url(arm), arm) for arm in ("v1", "v2")),
            "split": Split(server.url("split"), "model", share) if share else None,
            "arrivals": Arrivals(rate, process, duration),
            "requests": Requests(rows_file, target="label", unit="user"),
            "output": tmp_path / "observations",
            "seed": 7,
            "flush_every": 0.1,
        }
        return LoadPlan(**(plan | changes))

    return make


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool], str], None]:
    """Wait for a condition, at most as long as a crowded machine may take."""

    def wait(condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, f"in 60 s not: {what}"
            time.sleep(0.02)

    return wait


def read_observations(folder: Path) -> pa.Table:
    """All parts, in order."""
    return pa.concat_tables([parquet.ParquetFile(p).read() for p in sorted(folder.glob("part-*.parquet"))])


@dataclass
class LoadRun:
    """A load that ran in this process."""

    load: Load
    observations: pa.Table
    reported: list[dict[str, Any]]


@pytest.fixture
def run_load() -> Callable[[LoadPlan], LoadRun]:
    """Runs a plan in this process, without Locust."""

    def run(plan: LoadPlan) -> LoadRun:
        plan.output.mkdir(exist_ok=True)
        recorder = Recorder()
        load = prepare(plan, rows_of(plan), recorder)
        reported: list[dict[str, Any]] = []
        load.run(lambda **event: reported.append(event))
        PartWriter(plan.output, plan.first_part, print).write(table_of(recorder.remaining()), recorder.epoch)
        return LoadRun(load, read_observations(plan.output), reported)

    return run
