"""From a file to an `Experiment`, or to every mistake in it at once."""

from __future__ import annotations

from pathlib import Path

from fairtrial.experiment.files import missing_files
from fairtrial.experiment.model import KIND, Experiment
from fairtrial.experiment.typed_files import FileKind, load_as, parse_as

EXPERIMENT = FileKind(
    Experiment,
    KIND,
    called="an experiment file",
    default="experiment.yaml",
    written_by="fairtrial init",
    hints={
        "SeldonDeployment": "an experiment names one in spec.deployment",
        "Pipeline": "`fairtrial watch` takes it",
    },
    missing=missing_files,
)


def load(path: str | Path, *, check_files: bool = True) -> Experiment:
    """Read and check an experiment file.

    Relative paths in it are relative to its folder. With `check_files`, models and data that are not
    there are mistakes too. Raises UsageError when there is no such file, and ExperimentFileError,
    which lists every mistake with line and column, when it cannot be used.
    """
    return load_as(EXPERIMENT, path, check_files=check_files)


def parse(raw: bytes, *, source: str, folder: Path, check_files: bool = True) -> Experiment:
    """`load` for the content of a file; `source` is what messages call it."""
    return parse_as(EXPERIMENT, raw, source=source, folder=folder, check_files=check_files)
