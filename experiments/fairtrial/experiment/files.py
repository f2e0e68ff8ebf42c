"""Models, data and manifests that an experiment names and that are not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

from fairtrial.experiment.fields import Path, value_at
from fairtrial.experiment.metric_families import ANSWERED, FAMILIES
from fairtrial.experiment.model import locate
from fairtrial.experiment.traffic import DEFAULT_DATA
from fairtrial.experiment.wording import Mistake

_DATA: Path = ("spec", "traffic", "loadTest", "requests", "data")
_REQUESTS, _GENERATE = _DATA[:-1], (*_DATA[:-1], "generate")
_LOCUSTFILE: Path = ("spec", "traffic", "loadTest", "locustfile")
_TRACE: Path = ("spec", "traffic", "loadTest", "arrivals", "trace", "file")
_LIVE: Path = ("spec", "traffic", "live")


def missing_files(data: dict[str, Any], folder: FilePath) -> Iterator[Mistake]:
    """Look for each file that `data`, an experiment file as read, names.

    Works on what was read rather than on the model, so that a missing file is told even when other
    fields are wrong.
    """
    arms: list[Path] = [("spec", "baseline")]
    candidates = value_at(data, ("spec", "candidates"))
    if isinstance(candidates, list):
        arms += [("spec", "candidates", i) for i in range(len(candidates))]
    for arm in arms:
        yield from _missing(data, (*arm, "modelUri"), folder, "model")
        for key, what in (("publicKey", "public key"), ("certificates", "file of certificates")):
            yield from _missing(data, (*arm, "signature", key), folder, what)
    yield from _missing(data, ("spec", "deployment"), folder, "SeldonDeployment")
    if value_at(data, _LIVE) is not None:
        return
    yield from _missing(data, _TRACE, folder, "trace")
    if value_at(data, _LOCUSTFILE) is not None:
        yield from _missing(data, _LOCUSTFILE, folder, "locustfile")
        return
    if value_at(data, _REQUESTS) is None and not _needs_answers(data):
        return  # requests are generated
    if value_at(data, _GENERATE) is not None:
        return
    if value_at(data, _DATA) is None and isinstance(data.get("spec"), dict):
        if not (folder / DEFAULT_DATA).exists():
            why = f"there is no {folder / DEFAULT_DATA}, the default; say where the held-out data is"
            yield Mistake(_DATA, why)
    else:
        yield from _missing(data, _DATA, folder, "data")


def _missing(data: dict[str, Any], path: Path, folder: FilePath, what: str) -> Iterator[Mistake]:
    uri = value_at(data, path)
    if not isinstance(uri, str) or not uri or (":" in uri and not uri.startswith("file:///")):
        return  # told by the model, or somewhere else: no network is needed to read a file
    file = locate(uri, folder)
    try:
        there = file.exists()
    except (OSError, ValueError):  # a name that no file can have
        there = False
    if not there:
        yield Mistake(path, f"there is no {what} at {file}")


def _needs_answers(data: dict[str, Any]) -> bool:
    """Whether any metric needs the right answers, as far as a file with mistakes says; in doubt, yes."""
    metrics = value_at(data, ("spec", "metrics"))
    if not isinstance(metrics, list) or not metrics:
        return True
    said = [(value_at(metric, ("name",)), value_at(metric, ("column",))) for metric in metrics]
    return any(
        column in ANSWERED or (column is None and (name not in FAMILIES or FAMILIES[name].scored))
        for name, column in said
        if isinstance(name, str)
    )
