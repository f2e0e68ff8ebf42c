"""YAML and JSON documents as plain data with the place of every field, and plain data as byte-stable YAML."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.representer import SafeRepresenter

from fairtrial_graphs.problems import ManifestError, Problem, at_file

_Model = TypeVar("_Model", bound=BaseModel)
_Path = tuple[str | int, ...]

_MOST_VALUES = 100_000
_DEEPEST = 60
_LARGEST = 4 * 1024 * 1024  # characters; etcd takes 1.5 MB of one resource
# The parser's time and stack grow with a run of opening brackets.
_OPENINGS = re.compile(rf"(?:[\[{{]\s*){{{_DEEPEST},}}")

# What every YAML reader, 1.1 ones such as kubectl's included, takes for a string without quotes.
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./@-]*(:[A-Za-z0-9_./@-]+)*")
_NOT_A_STRING = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


@dataclass(frozen=True)
class Document:
    """One document of a file, as an API server would see it: JSON types only, timestamps being strings."""

    source: str  # how messages call the file
    data: Any
    _places: Mapping[_Path, tuple[int, int]] = field(repr=False)

    def problem(self, path: Sequence[str | int], message: str) -> Problem:
        """A mistake at the field, or at its nearest ancestor that is there."""
        near = tuple(path)
        while near and near not in self._places:
            near = near[:-1]
        line, column = self._places.get(near, (0, 0))
        return Problem(self.source, line, column, ".".join(map(str, path)), message)

    def problem_at(self, dotted: str, message: str) -> Problem:
        """The same for a path in words, such as spec.predictors.1.traffic."""
        return self.problem([int(part) if part.isdecimal() else part for part in dotted.split(".")], message)

    def validated(self, model: type[_Model]) -> _Model:
        """As typed data. Raises ManifestError, which tells all mistakes at once."""
        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            mistakes = [(mistake["loc"], mistake["msg"]) for mistake in error.errors(include_url=False)]
            raise ManifestError(
                sorted(
                    (
                        self.problem(path or ("document",), f"{why[0].lower()}{why[1:]}")
                        for path, why in mistakes
                    ),
                    key=lambda problem: (problem.line, problem.column),
                )
            ) from error


def read_text(path: Path) -> str:
    """Raises ManifestError if the file cannot be read or is no UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise at_file(str(path), f"cannot be read: {error}") from error


def documents(text: str, source: str) -> tuple[Document, ...]:
    """Every document of a YAML stream, or the one of a JSON text; empty ones are left out.

    Raises ManifestError.
    """
    if len(text) > _LARGEST:
        raise at_file(source, "larger than 4 MB; is this a manifest?")
    if _OPENINGS.search(text):
        raise at_file(source, f"nested more than {_DEEPEST} levels deep")
    try:
        in_json = _json(text) if text.lstrip().startswith(("{", "[")) else None
        return tuple(_documents(text, source, in_json))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        why = f"is not YAML: {error.problem or error.context}"
        raise ManifestError([Problem(source, line, column, "", why)]) from error
    except YAMLError as error:
        raise at_file(source, f"is not YAML: {str(error).strip().partition(chr(10))[0]}") from error
    except RecursionError as error:
        raise at_file(source, f"nested more than {_DEEPEST} levels deep, or a value within itself") from error
    except (ValueError, OverflowError) as error:
        if isinstance(error, ManifestError):
            raise
        raise at_file(source, f"is not YAML: {error}") from error


def to_yaml(manifests: Iterable[Mapping[str, Any]]) -> str:
    """YAML, the same bytes for the same data, read alike by YAML 1.1 and 1.2; --- between documents."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.width = 1_000_000
    texts: list[str] = []
    for manifest in manifests:
        out = io.StringIO()
        yaml.dump(manifest, out)
        texts.append(out.getvalue())
    return "---\n".join(texts)


def _json(text: str) -> Any:
    """What a JSON reader finds, None if it is no JSON: YAML in flow style, perhaps."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _documents(text: str, source: str, in_json: Any) -> Iterator[Document]:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    if in_json is not None:
        text = text.replace("\t", " ")  # which YAML does not take, and which JSON has between values only
    constructor, _ = yaml.get_constructor_parser(text)
    while constructor.composer.check_node():
        node = constructor.composer.get_node()
        places: dict[_Path, tuple[int, int]] = {}
        _place(node, (), places, 0)
        data = constructor.construct_document(node)
        if data is None:
            continue
        if in_json is not None:
            data = in_json  # YAML reads the two halves of a surrogate pair apart
        document = Document(source, data, places)
        problems = list(_not_json(document, data, ()))
        if problems:
            raise ManifestError(problems)
        yield document


def _place(node: Any, path: _Path, places: dict[_Path, tuple[int, int]], depth: int) -> None:
    if depth > _DEEPEST:
        raise RecursionError
    if len(places) > _MOST_VALUES:
        raise ValueError(f"more than {_MOST_VALUES:,} values, aliases counted as often as they are used")
    places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode):
                _place(value, (*path, str(key.value)), places, depth + 1)
    elif isinstance(node, SequenceNode):
        for index, value in enumerate(node.value):
            _place(value, (*path, index), places, depth + 1)


def _not_json(document: Document, value: Any, path: _Path) -> Iterator[Problem]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                yield document.problem((*path, str(key)), f"the name of a field is a text; quote {key!r}")
            else:
                yield from _not_json(document, inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _not_json(document, inner, (*path, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield document.problem(path, f"{value} is no number that JSON has")
    elif not isinstance(value, str | int | float | bool | None):
        yield document.problem(path, f"a value of type {type(value).__name__}, which JSON does not have")


class _Constructor(SafeConstructor):
    """Leaves timestamps the strings that the Kubernetes API has for them."""


class _Representer(SafeRepresenter):
    """Keeps the order of fields, and quotes every string that some reader might take for something else."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sort_base_mapping_type_on_output = False

    def represent_str(self, data: str) -> ScalarNode:
        plain = _PLAIN.fullmatch(data) and data.lower() not in _NOT_A_STRING
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if plain else '"')

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """A value that stands twice is written twice."""
        return True


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)
_Representer.add_representer(str, _Representer.represent_str)
