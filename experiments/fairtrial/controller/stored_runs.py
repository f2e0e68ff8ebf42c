"""An earlier run as a baseline: which of its observations are meant, and what they can be compared on."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fairtrial.clock import SystemClock
from fairtrial.controller.observed import timings_of
from fairtrial.controller.reference import what
from fairtrial.errors import UsageError
from fairtrial.evidence.arrow import Tabular
from fairtrial.evidence.sources import open_source
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.reading import parse
from fairtrial.journal.entries import Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.store import Journal
from fairtrial.judge.verdict import Decision
from fairtrial.judge.wording import listed
from fairtrial.planning.cut import too_short
from fairtrial.planning.stored import Stored
from fairtrial.versions import versions

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz")
#: What a stored baseline is asked for, where it has it.
_COLUMNS = ("arm", "latency", "status", "row", "score", "absoluteError", "squaredError", "prediction")

#: By whose versions arrival n is a row.
_DRAW = ("fairtrial", "numpy")


@dataclass(frozen=True)
class _Source:
    """Observations, and what is known of the run that made them."""

    name: str
    observations: Path
    experiment: Experiment | None = None
    started: dict[str, Any] | None = None
    verdict: dict[str, Any] | None = None
    reference: tuple[float, ...] = ()


def read_stored(run: Path, arm: str | None, experiment: Experiment, data: str) -> tuple[Stored, Tabular]:
    """What an arm of a stored run answered, as observations of this experiment's baseline.

    run: a run's folder, a folder or archive with one in it, or a file of observations. arm: the one that is
    meant there; unless said, the one that came out of the run. data: digest of the rows that will be sent.
    Raises UsageError.
    """
    with _unpacked(run) as place:
        source = _source(run, place)
        _check_rows(source, data)
        _check_answers(source, experiment)
        taken, arm = _taken(source, arm, experiment.spec.baseline.name)
    why = too_short(experiment, _seconds(taken), recorded=True)
    if why is not None:
        raise UsageError(f"--baseline-run: {source.name} {why}")
    unpaired = _unpaired(source, experiment, taken)
    stored = Stored(
        run=source.name,
        arm=arm,
        seconds=_seconds(taken),
        paired=unpaired is None,
        reference=source.reference,
        incomparable=_incomparable(source, experiment),
        weakness=_weakness(source),
        unpaired=unpaired,
    )
    return stored, _as_baseline(taken, experiment.spec.baseline.name, paired=stored.paired)


@contextmanager
def _unpacked(run: Path) -> Generator[Path]:
    if run.is_dir() or run.suffix not in _ARCHIVES:
        yield run
        return
    with tempfile.TemporaryDirectory(prefix="fairtrial-stored-") as folder:
        try:
            filtered = {} if run.suffix == ".zip" else {"filter": "data"}
            shutil.unpack_archive(run, folder, **filtered)  # type: ignore[arg-type]
        except (shutil.ReadError, OSError, ValueError, EOFError) as error:
            raise UsageError(f"--baseline-run {run} cannot be unpacked: {error}") from error
        yield Path(folder)


def _source(said: Path, place: Path) -> _Source:
    if not place.exists():
        raise UsageError(f"--baseline-run {said}: there is no such run, file or archive")
    journals = sorted(place.glob("**/journal.db")) if place.is_dir() else []
    if len(journals) > 1:
        names = ", ".join(journal.parent.name for journal in journals[:5])
        raise UsageError(f"--baseline-run {said} has several runs ({names}); name the folder of one")
    if not journals:
        return _Source(said.name, place)
    folder = RunFolder(journals[0].parent)
    journal = Journal.open(folder.journal, SystemClock())
    try:
        started, verdict = journal.last(Kind.STARTED), journal.last(Kind.VERDICT)
        timings = timings_of(journal)
    finally:
        journal.close()
    if started is None:
        raise UsageError(f"--baseline-run {said}: the run died before it began")
    return _Source(
        name=folder.id,
        observations=folder.observations,
        experiment=parse(
            folder.experiment.read_bytes(),
            source=str(folder.experiment),
            folder=folder.path,
            check_files=False,
        ),
        started=started.body,
        verdict=verdict.body if verdict is not None else None,
        reference=tuple(timings[part] for part in sorted(timings)),
    )


def _check_rows(source: _Source, data: str) -> None:
    if source.started is not None and source.started.get("data") != data:
        raise UsageError(
            f"--baseline-run: {source.name} was sent other rows than those of the data that is named now: "
            f"answers to them cannot be compared; record the baseline again"
        )


def _check_answers(source: _Source, experiment: Experiment) -> None:
    """Two scores of a row are of one kind only if they are by the same right answers."""
    if source.experiment is None:
        return
    then, now = (each.spec.traffic.driven.requests.target for each in (source.experiment, experiment))
    if then != now:
        raise UsageError(
            f"--baseline-run: {source.name} was scored by the column {then}, and this run is by {now}: "
            f"scores cannot be compared; record the baseline again"
        )


def _taken(source: _Source, arm: str | None, baseline: str) -> tuple[Tabular, str]:
    """What went straight to the arm that is meant, in order of time, and the arm."""
    batches = list(open_source(source.observations).batches())
    if not batches:
        raise UsageError(f"--baseline-run: {source.name} has no observations")
    table = pa.Table.from_batches(batches)
    there = sorted({name for name in table.column("arm").to_pylist() if name})
    wanted = (
        arm or _came_out(source) or (baseline if baseline in there else there[0] if len(there) == 1 else None)
    )
    if wanted is None or wanted not in there:
        asked = f"no arm {wanted}" if wanted else "several arms"
        raise UsageError(
            f"--baseline-run: {source.name} has {asked}; say --baseline-arm of {', '.join(there)}"
        )
    mine = np.array(table.column("arm").to_pylist(), object) == wanted
    if "segment" in table.column_names:
        mine &= np.array([segment is None for segment in table.column("segment").to_pylist()])
    if not mine.any():
        raise UsageError(f"--baseline-run: {source.name} sent {wanted} no replayed rows")
    return _with_pair(table.filter(pa.array(mine))), wanted


def _with_pair(table: Tabular) -> Tabular:
    if "pair" in table.column_names:
        return table
    return table.append_column("pair", pa.nulls(table.num_rows, pa.int64()))


def _came_out(source: _Source) -> str | None:
    """The arm that a run recorded or loaded alone; else the one that serves after its verdict."""
    if source.started is None or source.experiment is None:
        return None
    if "recorded" in source.started:
        return str(source.started["recorded"])
    if "stored" in source.started:
        return source.experiment.spec.candidates[0].name
    if source.verdict is not None and source.verdict["verdict"] == Decision.PROMOTE:
        return str(source.verdict["candidate"])
    return source.experiment.spec.baseline.name


def _alone(source: _Source) -> bool:
    return source.started is not None and ("recorded" in source.started or "stored" in source.started)


def _load_of(experiment: Experiment) -> dict[str, Any]:
    """What of a load two runs must have in common; the rows are known by their digest."""
    load = experiment.spec.traffic.driven
    requests = load.requests
    return load.model_dump(exclude={"max_duration", "split_share", "requests"}) | {
        "requests.exclude": sorted(requests.exclude),
        "requests.unit": requests.unit,
        "seed": experiment.spec.analysis.seed,
    }


def _unpaired(source: _Source, experiment: Experiment, taken: Tabular) -> str | None:
    """Why its answers are no halves of pairs, in words that follow "since"."""
    if source.started is None:
        return "nothing says what was sent when the stored run was made"
    if not _alone(source):
        return "the stored run loaded several arms at once"
    if differ := _differences(source, experiment):
        return f"the stored run's load was another one ({_listed(differ)})"
    then, now = source.started.get("versions", {}), versions()
    if drawn := [name for name in _DRAW if then.get(name, now[name]) != now[name]]:
        return f"the stored run was by another version of {listed(drawn)}, which may have sent other rows"
    if "row" not in taken.column_names or taken.column("pair").null_count:
        return "not every answer of the stored run names its arrival and its row"
    return None


def _listed(differ: list[str]) -> str:
    return f"{listed(differ)} differ{'s' if len(differ) == 1 else ''}"


def _differences(source: _Source, experiment: Experiment) -> list[str]:
    assert source.experiment is not None, "it was a run"
    then, now = _load_of(source.experiment), _load_of(experiment)
    return sorted(name for name in now if then.get(name) != now[name])


def _incomparable(source: _Source, experiment: Experiment) -> str | None:
    if source.started is None:
        return "they are observations alone, with no run that says how they came about"
    if not _alone(source):
        return "it loaded several arms at once, and now one is loaded; `fairtrial run --record` records one"
    if differ := _differences(source, experiment):
        return f"its load was another one ({_listed(differ)})"
    if source.started.get("reference") != what():
        return "the reference was another one, as by another Python"
    return None


def _weakness(source: _Source) -> str | None:
    if source.verdict is None or source.verdict["verdict"] != Decision.PROMOTE:
        return None
    return (
        f"The stored run {source.name} ended once its candidate had done well enough, so that its figures "
        f"are too good on average; `fairtrial run --record` records a version to the end."
    )


def _seconds(taken: Tabular) -> float:
    time = np.array(taken.column("time").to_pylist(), np.float64)
    return float(time.max() - time.min()) + 1e-3


def _as_baseline(taken: Tabular, baseline: str, *, paired: bool) -> Tabular:
    """In order of arrival, with numbers that two runs have in common or none."""
    order = taken.sort_by("pair") if paired else taken.sort_by("time")
    columns = {name: order.column(name) for name in _COLUMNS if name in order.column_names}
    rows = order.num_rows
    return pa.table(
        columns
        | {
            "arm": pa.array([baseline] * rows, pa.string()),
            "time": order.column("time"),
            "pair": order.column("pair") if paired else pa.nulls(rows, pa.int64()),
        }
    )
