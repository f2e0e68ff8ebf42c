"""A finished run opened for explanations: its history, its observations and the data that was sent."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from fairtrial.errors import UsageError
from fairtrial.evidence.arrow import Tabular
from fairtrial.evidence.sources import PartsFolder, read_part
from fairtrial.evidence.stored import Beside
from fairtrial.explanation.explain import Rows
from fairtrial.history import history_of
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.store import Journal
from fairtrial.report.history import History


def open_recorded(folder: RunFolder, journal: Journal) -> tuple[History, Rows]:
    """Raises UsageError when the observations cannot be read. Data that is no longer there is left out."""
    from fairtrial.controller.session import recorded_experiment

    experiment, _ = recorded_experiment(folder, journal)
    observations = observations_of(folder)
    load_test = experiment.spec.traffic.load_test
    if load_test is None or experiment.data is None:
        return history_of(folder, journal), Rows(observations, None, None)
    requests = load_test.requests
    dataset = _dataset(experiment.data)
    known = dataset is not None and requests.target in dataset.schema.names
    return history_of(folder, journal), Rows(observations, dataset, requests.target if known else None)


def observations_of(folder: RunFolder) -> Tabular:
    """Everything a run observed, in order of intended time, and what a stored baseline answered."""
    from fairtrial_loadtests.observation import SCHEMA

    batches = list(PartsFolder(folder.observations).batches())
    observed = pa.Table.from_batches(batches) if batches else SCHEMA.empty_table()
    return Beside(read_part(folder.stored))(observed) if folder.stored.is_file() else observed


def _dataset(data: Path) -> Tabular | None:
    from fairtrial_loadtests.tables import read_table

    try:
        return read_table(data)
    except (OSError, pa.ArrowException, UsageError):
        return None
