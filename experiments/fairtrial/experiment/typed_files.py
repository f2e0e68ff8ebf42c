"""From a file of one of our kinds to its model, or to every mistake in it at once."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from fairtrial.errors import UsageError
from fairtrial.experiment.checking import validated
from fairtrial.experiment.decoding import decode
from fairtrial.experiment.fields import Path
from fairtrial.experiment.problems import ExperimentFileError, Problem
from fairtrial.experiment.quantities import describe
from fairtrial.experiment.wording import Mistake
from fairtrial.experiment.yaml_tree import Flaw, Position, Tree, parse_tree

M = TypeVar("M", bound=BaseModel)

API_VERSION = "fairtrial.dev/v1alpha1"
_LARGEST = 256 * 1024


@dataclass(frozen=True)
class FileKind(Generic[M]):
    """What a kind of file is, and what is said to those who bring another."""

    model: type[M]
    kind: str  # as in `kind: Experiment`
    called: str  # "an experiment file"
    default: str  # its usual name
    written_by: str | None = None  # the verb that writes one to start from
    hints: Mapping[str, str] = field(default_factory=dict[str, str])  # by another kind: where that belongs
    #: What the file names and is not there: works on the data as read, so that other mistakes hide nothing.
    missing: Callable[[dict[str, Any], FilePath], Iterable[Mistake]] = lambda _data, _folder: ()


def load_as(kind: FileKind[M], path: str | FilePath, *, check_files: bool = True) -> M:
    """Read and check a file. Relative paths in it are relative to its folder.

    Raises UsageError when there is no such file, and ExperimentFileError, which lists every mistake with
    line and column, when it cannot be used.
    """
    file = FilePath(path)
    if file.is_dir():
        inside = file / kind.default
        hint = f"; did you mean {inside}?" if inside.is_file() else ""
        raise UsageError(f"{file} is a folder, not {kind.called}{hint}")
    try:
        with file.open("rb") as stream:
            raw = stream.read(_LARGEST + 1)
    except FileNotFoundError:
        hint = f"; `{kind.written_by}` writes one to start from" if kind.written_by else ""
        raise UsageError(f"there is no file {file}{hint}") from None
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None
    return parse_as(kind, raw, source=str(path), folder=file.parent, check_files=check_files)


def parse_as(kind: FileKind[M], raw: bytes, *, source: str, folder: FilePath, check_files: bool = True) -> M:
    """`load_as` for the content of a file; `source` is what messages call it."""
    tree = _tree(raw, kind)
    mistakes: list[Mistake] = []
    found: M | None = None
    if isinstance(tree.root, dict):
        data: dict[str, Any] = copy.deepcopy(tree.root)
        mistakes = list(_of_another_kind(data, kind))
        if not mistakes:
            mistakes = list(_without_value(data, ()))
            checked = validated(data, folder, kind.model)
            if isinstance(checked, list):
                empty = {mistake.path for mistake in mistakes}
                mistakes += [mistake for mistake in checked if mistake.path not in empty]
            else:
                found = checked
            if check_files:
                mistakes += kind.missing(data, folder)
    if found is None or mistakes or tree.flaws:
        raise ExperimentFileError(source, _problems(source, tree, mistakes))
    return found


def _tree(raw: bytes, kind: FileKind[M]) -> Tree:
    if len(raw) > _LARGEST:
        return Tree(flaws=[Flaw(Position(1, 1), f"larger than 256 kB; is this {kind.called}?")])
    text = decode(raw)
    if isinstance(text, Flaw):
        return Tree(flaws=[text])
    tree = parse_tree(text)
    if tree.root is None and not tree.flaws:
        hint = f"; `{kind.written_by}` writes one" if kind.written_by else ""
        tree.flaws.append(Flaw(Position(1, 1), f"the file is empty{hint}"))
    elif tree.root is not None and not isinstance(tree.root, dict):
        got = describe(tree.root)
        tree.flaws.append(Flaw(tree.position(()), f"expected fields such as `kind: {kind.kind}`, got {got}"))
    return tree


def _of_another_kind(data: dict[str, Any], wanted: FileKind[M]) -> Iterator[Mistake]:
    """Somebody else's file: say so, and do not call each of its fields a mistake."""
    kind, version = data.get("kind"), data.get("apiVersion")
    if isinstance(kind, str) and not difflib.get_close_matches(kind.lower(), [wanted.kind.lower()]):
        hint = f"; {wanted.hints[kind]}" if kind in wanted.hints else ""
        yield Mistake(("kind",), f"expected {wanted.kind}, got {describe(kind)}{hint}")
    elif kind == wanted.kind and isinstance(version, str) and not version.startswith("fairtrial.dev/"):
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
