"""Models, data and manifests that an experiment names and that are not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

from fairtrial.experiment.fields import Path
from fairtrial.experiment.model import locate
from fairtrial.experiment.traffic import DEFAULT_DATA
from fairtrial.experiment.wording import Mistake

_DATA: Path = ("spec", "traffic", "loadTest", "requests", "data")
_LIVE: Path = ("spec", "traffic", "live")


def missing_files(data: dict[str, Any], folder: FilePath) -> Iterator[Mistake]:
    """Look for each file that `data`, an experiment file as read, names.

    Works on what was read rather than on the model, so that a missing file is told even when other
    fields are wrong.
    """
    arms: list[Path] = [("spec", "baseline")]
    candidates = _at(data, ("spec", "candidates"))
    if isinstance(candidates, list):
        arms += [("spec", "candidates", i) for i in range(len(candidates))]
    for arm in arms:
        yield from _missing(data, (*arm, "modelUri"), folder, "model")
        for key, what in (("publicKey", "public key"), ("certificates", "file of certificates")):
            yield from _missing(data, (*arm, "signature", key), folder, what)
    yield from _missing(data, ("spec", "deployment"), folder, "SeldonDeployment")
    if _at(data, _LIVE) is not None:
        return
    if _at(data, _DATA) is None and isinstance(data.get("spec"), dict):
        if not (folder / DEFAULT_DATA).exists():
            why = f"there is no {folder / DEFAULT_DATA}, the default; say where the held-out data is"
            yield Mistake(_DATA, why)
    else:
        yield from _missing(data, _DATA, folder, "data")


def _missing(data: dict[str, Any], path: Path, folder: FilePath, what: str) -> Iterator[Mistake]:
    uri = _at(data, path)
    if not isinstance(uri, str) or not uri or (":" in uri and not uri.startswith("file:///")):
        return  # told by the model, or somewhere else: no network is needed to read a file
    file = locate(uri, folder)
    try:
        there = file.exists()
    except (OSError, ValueError):  # a name that no file can have
        there = False
    if not there:
        yield Mistake(path, f"there is no {what} at {file}")


def _at(data: Any, path: Path) -> Any:
    """The value at `path`, None where there is none."""
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data
