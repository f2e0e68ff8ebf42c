"""From a file to an `Experiment`, or to every mistake in it at once."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path as FilePath
from typing import Any

from fairtrial.errors import UsageError
from fairtrial.experiment.checking import validated
from fairtrial.experiment.decoding import decode
from fairtrial.experiment.fields import Path
from fairtrial.experiment.files import missing_files
from fairtrial.experiment.model import API_VERSION, KIND, Experiment
from fairtrial.experiment.problems import ExperimentFileError, Problem
from fairtrial.experiment.quantities import describe
from fairtrial.experiment.wording import Mistake
from fairtrial.experiment.yaml_tree import Flaw, Position, Tree, parse_tree

_LARGEST = 256 * 1024


def load(path: str | FilePath, *, check_files: bool = True) -> Experiment:
    """Read and check an experiment file.

    Relative paths in it are relative to its folder. With `check_files`, models and data that are not
    there are mistakes too. Raises UsageError when there is no such file, and ExperimentFileError,
    which lists every mistake with line and column, when it cannot be used.
    """
    file = FilePath(path)
    if file.is_dir():
        inside = file / "experiment.yaml"
        hint = f"; did you mean {inside}?" if inside.is_file() else ""
        raise UsageError(f"{file} is a folder, not an experiment file{hint}")
    try:
        with file.open("rb") as stream:
            raw = stream.read(_LARGEST + 1)
    except FileNotFoundError:
        raise UsageError(f"there is no file {file}; `fairtrial init` writes one to start from") from None
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None
    return parse(raw, source=str(path), folder=file.parent, check_files=check_files)


def parse(raw: bytes, *, source: str, folder: FilePath, check_files: bool = True) -> Experiment:
    """`load` for the content of a file; `source` is what messages call it."""
    tree = _tree(raw)
    mistakes: list[Mistake] = []
    experiment = None
    if isinstance(tree.root, dict):
        data: dict[str, Any] = copy.deepcopy(tree.root)
        mistakes = list(_of_another_kind(data))
        if not mistakes:
            mistakes = list(_without_value(data, ()))
            checked = validated(data, folder)
            if isinstance(checked, Experiment):
                experiment = checked
            else:
                empty = {mistake.path for mistake in mistakes}
                mistakes += [mistake for mistake in checked if mistake.path not in empty]
            if check_files:
                mistakes += missing_files(data, folder)
    if experiment is None or mistakes or tree.flaws:
        raise ExperimentFileError(source, _problems(source, tree, mistakes))
    return experiment


def _tree(raw: bytes) -> Tree:
    if len(raw) > _LARGEST:
        return Tree(flaws=[Flaw(Position(1, 1), "larger than 256 kB; is this an experiment file?")])
    text = decode(raw)
    if isinstance(text, Flaw):
        return Tree(flaws=[text])
    tree = parse_tree(text)
    if tree.root is None and not tree.flaws:
        tree.flaws.append(Flaw(Position(1, 1), "the file is empty; `fairtrial init` writes one"))
    elif tree.root is not None and not isinstance(tree.root, dict):
        got = describe(tree.root)
        tree.flaws.append(Flaw(tree.position(()), f"expected fields such as `kind: {KIND}`, got {got}"))
    return tree


def _of_another_kind(data: dict[str, Any]) -> Iterator[Mistake]:
    """Somebody else's file: say so, and do not call each of its fields a mistake."""
    kind, version = data.get("kind"), data.get("apiVersion")
    if isinstance(kind, str) and not difflib.get_close_matches(kind.lower(), [KIND.lower()]):
        hint = "; an experiment names one in spec.deployment" if kind == "SeldonDeployment" else ""
        yield Mistake(("kind",), f"expected {KIND}, got {describe(kind)}{hint}")
    elif kind == KIND and isinstance(version, str) and not version.startswith("fairtrial.dev/"):
        close = difflib.get_close_matches(version, [API_VERSION])
        if not close:
            yield Mistake(("apiVersion",), f"expected {API_VERSION}, got {describe(version)}")


def _without_value(data: Any, path: Path) -> Iterator[Mistake]:
    """Take fields without a value out of `data`, and say so: an unfinished line has no default."""
    if isinstance(data, dict):
        for key, value in list(data.items()):
            if value is None:
                del data[key]
                yield Mistake((*path, key), "no value; write one, or remove the field", at_key=True)
            else:
                yield from _without_value(value, (*path, key))
    elif isinstance(data, list):
        for i, item in enumerate(data):
            yield from _without_value(item, (*path, i))


def _problems(source: str, tree: Tree, mistakes: Iterable[Mistake]) -> list[Problem]:
    """In the order of the file, each once; a value that is no YAML is not a wrong value as well."""
    flawed = {flaw.path for flaw in tree.flaws}
    found = {(flaw.position, ".".join(map(str, flaw.path)), flaw.message) for flaw in tree.flaws} | {
        (tree.position(m.path, of_key=m.at_key), ".".join(map(str, m.path)), m.message)
        for m in mistakes
        if m.path not in flawed
    }
    return [Problem(source, at.line, at.column, path, why) for at, path, why in sorted(found)]
