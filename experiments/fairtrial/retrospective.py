"""A verdict from observations that were recorded before, by a run or by anybody."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from fairtrial.errors import UsageError
from fairtrial.evidence.arrow import RecordBatch
from fairtrial.evidence.sources import open_source
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.reading import load
from fairtrial.judge.spec import JudgeSpec, MetricSpec
from fairtrial.judge.verdict import Verdict
from fairtrial.judging import judge_stream
from fairtrial.planning.claims import claims_of
from fairtrial.planning.data import count_rows
from fairtrial.planning.steps import steps_of


def judge_recorded(file: Path, data: Path) -> Verdict:
    """The verdict that a run by `file` would have come to on the observations at `data`.

    They are looked at in order of time. The horizon is the file's where it says `maxDuration`, and else the
    size of the data. Raises UsageError for a file or data that cannot be used.
    """
    experiment = load(file, check_files=False)
    source = open_source(data)
    extent = _measure(source.batches())
    for arm in (experiment.spec.baseline, *experiment.spec.candidates):
        if not extent.requests.get(arm.name):
            there = ", ".join(sorted(extent.requests)) or "none"
            raise UsageError(f"{data} has no observation of arm {arm.name}; the arms in it are {there}")
    final: Verdict | None = None
    for judgement in judge_stream(_spec(experiment, extent), source.batches()):
        (final,) = judgement.verdicts
    assert final is not None, "a closed stream has at least one look"
    return final


@dataclass
class _Extent:
    """How much there is to judge."""

    requests: dict[str, int] = field(default_factory=dict[str, int])
    halves: int = 0  # observations that are half of a pair
    rows: set[int] = field(default_factory=set[int])
    earliest: float = math.inf
    latest: float = -math.inf

    @property
    def duration(self) -> float:
        return max(0.0, self.latest - self.earliest)


def _measure(batches: Iterator[RecordBatch]) -> _Extent:
    extent = _Extent()
    for batch in batches:
        for count in batch.column("arm").value_counts().to_pylist():
            name = str(count["values"])
            extent.requests[name] = extent.requests.get(name, 0) + count["counts"]
        time = batch.column("time").to_numpy(zero_copy_only=False)
        time = time[np.isfinite(time)]
        if len(time):
            extent.earliest = min(extent.earliest, float(time.min()))
            extent.latest = max(extent.latest, float(time.max()))
        names = batch.schema.names
        if "pair" in names:
            extent.halves += batch.num_rows - batch.column("pair").null_count
        if "row" in names:
            extent.rows.update(batch.column("row").drop_null().unique().to_pylist())
    return extent


def _spec(experiment: Experiment, extent: _Extent) -> JudgeSpec:
    load_test = experiment.spec.traffic.load_test
    said = "max_duration" in load_test.model_fields_set
    claims = claims_of(experiment, steps_of(experiment), _rows(experiment, extent))
    if said:
        return claims
    looks = max(1, math.floor(extent.duration / claims.look_interval) + 1)
    return replace(
        claims,
        planned_looks=looks,
        max_duration=looks * claims.look_interval,
        metrics=tuple(_sized(metric, extent, experiment) for metric in claims.metrics),
    )


def _sized(metric: MetricSpec, extent: _Extent, experiment: Experiment) -> MetricSpec:
    """The metric with the data's size as its horizon."""
    paired = metric.paired and extent.halves > 0
    smaller = min(
        extent.requests[arm.name] for arm in (experiment.spec.baseline, *experiment.spec.candidates)
    )
    observations = extent.halves // 2 if paired else smaller
    if metric.once_per_row and extent.rows:
        observations = min(observations, len(extent.rows))
    return replace(metric, paired=paired, max_observations=max(1, observations))


def _rows(experiment: Experiment, extent: _Extent) -> int:
    """Distinct rows: those of the data set where it is there, else those that were seen."""
    data = experiment.folder / experiment.spec.traffic.load_test.requests.data
    if data.is_file():
        return count_rows(data)
    return len(extent.rows) or max(extent.requests.values(), default=1)
