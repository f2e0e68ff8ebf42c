"""YAML to plain Python values, with the line and column of every value and of every key.

Built from the parser's events rather than by its constructors: nothing in a file can name a type,
aliases are expanded within a budget, and mistakes are collected with their places instead of ending
at the first. Scalars follow the core schema of YAML 1.2 (`yes` and `on` are texts).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

Path = tuple[str | int, ...]

_DEEPEST = 40
_MOST_VALUES = 5_000
_LONGEST_NUMBER = 40
_TEXT_TAG = "tag:yaml.org,2002:str"

_TOO_DEEP = f"nested more than {_DEEPEST} levels deep"
_OPENINGS = re.compile(rf"(?:[\[{{]\s*){{{_DEEPEST},}}")

_INTEGER = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


@dataclass(frozen=True, order=True)
class Position:
    """Both counted from 1, as editors do."""

    line: int
    column: int


@dataclass(frozen=True)
class Flaw:
    """A mistake in the YAML itself."""

    position: Position
    message: str
    path: Path = ()


@dataclass
class Tree:
    """The one document of a file. `values` and `keys` say where the value or key at a path starts."""

    root: object = None
    values: dict[Path, Position] = field(default_factory=dict[Path, Position])
    keys: dict[Path, Position] = field(default_factory=dict[Path, Position])
    flaws: list[Flaw] = field(default_factory=list[Flaw])

    def position(self, path: Path, *, of_key: bool = False) -> Position:
        """Where `path` is, or the key of its nearest ancestor that is there."""
        while path and path not in self.values:
            path, of_key = path[:-1], True
        value = self.values.get(path, Position(1, 1))
        return self.keys.get(path, value) if of_key else value


@dataclass
class _Scalar:
    at: Position
    value: object
    text: str


@dataclass
class _Sequence:
    at: Position
    items: list[_Node] = field(default_factory=lambda: [])


@dataclass
class _Mapping:
    at: Position
    pairs: list[tuple[_Node, _Node]] = field(default_factory=lambda: [])


@dataclass
class _Alias:
    at: Position
    name: str
    target: _Node | None


_Node = _Scalar | _Sequence | _Mapping | _Alias


class _Stop(Exception):
    """The rest of the file cannot be read."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.message)
        self.flaw = flaw


def parse_tree(text: str) -> Tree:
    """Read one YAML document. Never raises for what a file can hold: see `Tree.flaws`."""
    builder = _Builder()
    if run := _OPENINGS.search(text):  # the scanner's time grows with the square of such a run
        return Tree(flaws=[Flaw(position_after(text[: run.start()]), _TOO_DEEP)])
    try:
        builder.read(_events(text))
    except _Stop as stop:
        builder.tree.flaws.append(stop.flaw)
    except MarkedYAMLError as error:
        builder.tree.flaws.append(Flaw(_where(error), _in_words(error)))
    except (ValueError, OverflowError):  # the parser does not check the range of \U escapes and versions
        builder.tree.flaws.append(Flaw(builder.last, "an escape or a number out of range, in what follows"))
    return builder.tree


def _events(text: str) -> Iterator[Event]:
    return YAML(typ="safe", pure=True).parse(text)


def position_after(text: str) -> Position:
    """Where the character that follows `text` is."""
    lines = re.split(r"\r\n|[\n\r\x85\u2028\u2029]", text)
    return Position(len(lines), len(lines[-1]) + 1)


class _Builder:
    def __init__(self) -> None:
        self.tree = Tree()
        self._anchors: dict[str, _Node] = {}
        self._open: list[_Node] = []  # collections being expanded: an alias to one of them never ends
        self._count = 0
        self.last = Position(1, 1)  # where the event before the present one starts

    def read(self, events: Iterator[Event]) -> None:
        root: _Node | None = None
        for event in events:
            match event:
                case DocumentStartEvent() if root is not None:
                    raise _Stop(
                        Flaw(_at(event), "a second document starts here; an experiment file holds one")
                    )
                case ScalarEvent() | SequenceStartEvent() | MappingStartEvent() | AliasEvent():
                    root = self._node(event, events, 0)
                case _:
                    pass
        if root is not None:
            self.tree.root = self._expand(root, ())

    def _node(self, event: Event, events: Iterator[Event], depth: int) -> _Node:
        self.last = at = _at(event)
        if depth > _DEEPEST:
            raise _Stop(Flaw(at, _TOO_DEEP))
        node: _Node
        match event:
            case AliasEvent():
                return _Alias(at, str(event.anchor), self._anchors.get(str(event.anchor)))
            case ScalarEvent():
                node = _Scalar(at, self._scalar(event), str(event.value))
            case SequenceStartEvent():
                node = _Sequence(at)
            case _:
                node = _Mapping(at)
        if isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent) and event.anchor:
            self._anchors[str(event.anchor)] = node
        if isinstance(node, _Sequence):
            while not isinstance(event := next(events), SequenceEndEvent):
                node.items.append(self._node(event, events, depth + 1))
        elif isinstance(node, _Mapping):
            while not isinstance(event := next(events), MappingEndEvent):
                key = self._node(event, events, depth + 1)
                node.pairs.append((key, self._node(next(events), events, depth + 1)))
        return node

    def _scalar(self, event: ScalarEvent) -> object:
        text = str(event.value)
        tag = str(event.tag) if event.tag else None
        if tag not in (None, "!", _TEXT_TAG):
            self.tree.flaws.append(
                Flaw(_at(event), f'the tag "{tag}" is not read; an experiment holds plain values only')
            )
        if tag is not None or event.style is not None:
            return text
        return plain_scalar(text)

    def _expand(self, node: _Node, path: Path) -> object:
        self._count += 1
        if self._count > _MOST_VALUES:
            raise _Stop(Flaw(node.at, f"more than {_MOST_VALUES} values, aliases counted as often as used"))
        self.tree.values[path] = node.at
        match node:
            case _Scalar():
                return node.value
            case _Alias():
                return self._expand_alias(node, path)
            case _Sequence():
                self._open.append(node)
                items = [self._expand(item, (*path, i)) for i, item in enumerate(node.items)]
                self._open.pop()
                return items
            case _Mapping():
                self._open.append(node)
                mapping = self._expand_mapping(node, path)
                self._open.pop()
                return mapping

    def _expand_alias(self, alias: _Alias, path: Path) -> object:
        if alias.target is None:
            self._flaw(alias.at, path, f"*{alias.name} refers to an anchor &{alias.name} that is not there")
            return None
        if any(alias.target is node for node in self._open):
            raise _Stop(Flaw(alias.at, f"*{alias.name} refers to the very value that it is part of", path))
        value = self._expand(alias.target, path)
        self.tree.values[path] = alias.at
        return value

    def _expand_mapping(self, node: _Mapping, path: Path) -> dict[str, object]:
        mapping: dict[str, object] = {}
        for key, value in node.pairs:
            if not isinstance(key, _Scalar) or key.value is None:
                self._flaw(key.at, path, "expected the name of a field before the colon")
                continue
            name = key.text
            inner = (*path, name)
            if name == "<<":
                self._flaw(key.at, path, "merge keys (<<) are not read; write the fields out")
            elif name in mapping:
                first = self.tree.keys[inner].line
                self._flaw(key.at, inner, f"said twice; the first is on line {first}")
            else:
                self.tree.keys[inner] = key.at
                mapping[name] = self._expand(value, inner)
        return mapping

    def _flaw(self, at: Position, path: Path, message: str) -> None:
        self.tree.flaws.append(Flaw(at, message, path))


def plain_scalar(text: str) -> object:
    """The value of an unquoted scalar in YAML 1.2's core schema; absurdly long numbers stay texts."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _LONGEST_NUMBER:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _OTHER_BASE.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text


def _at(event: Event) -> Position:
    return _position(event.start_mark)


def _where(error: MarkedYAMLError) -> Position:
    return _position(error.problem_mark or error.context_mark)


def _position(mark: StringMark | None) -> Position:
    return Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)


def _in_words(error: MarkedYAMLError) -> str:
    problem, context = str(error.problem or ""), str(error.context or "")
    for part, words in _WORDINGS:
        if part in problem or part in context:
            return words
    return f"not YAML: {problem or context}"


#: What the parser says, and what that means to somebody who writes YAML; the first that fits.
_WORDINGS = (
    ("character '\\t'", "a tab; YAML indents with spaces"),
    ("that cannot start any token", "a text that begins with this character must be quoted"),
    (
        "mapping values are not allowed here",
        'unexpected ":"; is the indentation right, are quotes missing?',
    ),
    ("could not find expected ':'", 'a field without ":" after its name, on this line or the one before'),
    ("unexpected end of stream", "a quote is opened and never closed"),
    ("unexpected document separator", "a quote is opened and never closed"),
    (
        "unknown escape character",
        "an unknown escape; in single quotes a backslash is plain",
    ),
    ("but found '<stream end>'", "a bracket or brace is opened and never closed"),
    ("while parsing a flow mapping", 'expected "," or "}"; is a brace not closed?'),
    ("while parsing a flow sequence", 'expected "," or "]"; is a bracket not closed?'),
    ("expected '<document start>'", "unexpected here; is it indented like its neighbours?"),
    ("expected <block end>", "unexpected here; is it indented like its neighbours?"),
    ("expected the node content", "expected a value here"),
    ("scanning an alias", "expected the name of an anchor after *; quote a text that begins with *"),
    ("scanning an anchor", "expected a name after &; quote a text that begins with &"),
    ("incompatible YAML document", "expected YAML 1.2"),
)
