"""Every mistake of a file's data, also those between fields that others would hide.

Pydantic checks what holds between fields only once each field is right by itself. So that a typo in
one place does not hide a contradiction in another, the data is validated again without what is
wrong, until it passes or there is nothing more to take away.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from fairtrial.experiment.fields import Path
from fairtrial.experiment.wording import Mistake, mistakes_in

M = TypeVar("M", bound=BaseModel)

_ROUNDS = 5

#: Fields that others rest on: without them, a contradiction with them is an artefact.
_KEYSTONES = frozenset(
    {
        "kind",
        "quantile",
        "column",
        "role",
        "deployment",
        "target",
        "unit",
        "canary",
        "abTest",
        "shadow",
        "blueGreen",
        "steps",
        "stepWeight",
        "maxWeight",
        "weight",
        "header",
        "cookie",
        "key",
        "do",
        "windows",
        "freezes",
    }
)


def validated(data: dict[str, Any], folder: FilePath, model: type[M]) -> M | list[Mistake]:
    """`data` as that model, or every mistake in it. Relative paths start from `folder`."""
    told: list[Mistake] = []
    dropped: set[Path] = set()
    for _ in range(_ROUNDS):
        kept: dict[Path, list[int]] = {}
        found = _validate(_without(data, dropped, (), kept), folder, model)
        if not isinstance(found, list):
            return told or found
        found = [_moved(mistake, kept) for mistake in found]
        if not told:
            told = found
        else:
            paths = {mistake.path for mistake in told}
            paths |= {mistake.meant for mistake in told if mistake.meant}
            told += [m for m in found if m.between_fields and m.path not in paths and not _hollow(m, dropped)]
        more = {_to_drop(mistake.path, data, dropped) for mistake in found} - {()}
        if not more:
            break
        dropped |= more
    return told


def _validate(data: Any, folder: FilePath, model: type[M]) -> M | list[Mistake]:
    try:
        return model.model_validate(data, context={"folder": folder}, by_alias=True, by_name=False)
    except ValidationError as error:
        return mistakes_in(error.errors(include_url=False), model)


def _without(data: Any, dropped: set[Path], path: Path, kept: dict[Path, list[int]]) -> Any:
    """A copy without what is dropped; `kept` tells which items of each list are left."""
    if isinstance(data, dict):
        return {
            key: _without(value, dropped, (*path, key), kept)
            for key, value in data.items()
            if (*path, key) not in dropped
        }
    if isinstance(data, list):
        kept[path] = [i for i in range(len(data)) if (*path, i) not in dropped]
        return [_without(data[i], dropped, (*path, i), kept) for i in kept[path]]
    return data


def _moved(mistake: Mistake, kept: dict[Path, list[int]]) -> Mistake:
    """The mistake at its path in the whole data."""
    path: Path = ()
    for step in mistake.path:
        indices = kept.get(path)
        path = (*path, indices[step] if indices is not None and isinstance(step, int) else step)
    return replace(mistake, path=path)


def _to_drop(path: Path, data: Any, dropped: set[Path]) -> Path:
    """The field itself when it is there, else the item of a list that lacks it; () for neither."""
    if path and isinstance(path[-1], str) and path not in dropped and _has(data, path):
        return path
    while path and (isinstance(path[-1], str) or path in dropped):
        path = path[:-1]
    return path


def _has(data: Any, path: Path) -> bool:
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _hollow(mistake: Mistake, dropped: set[Path]) -> bool:
    """Whether the mistake rests on a field that was taken away."""
    return any(
        (path[-1] in _KEYSTONES and mistake.path[: len(path) - 1] == path[:-1])
        or (path[-2:-1] == ("weights",) and mistake.path == path[:-1])  # they no longer sum to 100
        for path in dropped
        if path
    )
