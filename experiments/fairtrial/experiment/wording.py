"""Pydantic's errors in plain words: what was expected, what was there, what was probably meant."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args, get_origin

from fairtrial_servers.addresses import credentials_in

from fairtrial.experiment.base import MISTAKES
from fairtrial.experiment.fields import Path, field_at, fields_of, part_at, places_of
from fairtrial.experiment.quantities import describe

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails


@dataclass(frozen=True)
class Mistake:
    """A mistake at a path of the file; `at_key` when it is the field's name that is wrong."""

    path: Path
    message: str
    at_key: bool = False
    between_fields: bool = False
    meant: Path | None = None  # the field that was probably meant


def mistakes_in(errors: Iterable[ErrorDetails], root: type[BaseModel]) -> list[Mistake]:
    """One mistake for each thing to mend: a misspelt required field is not missing as well.

    root: the model of the whole file.
    """
    found = [mistake for error in errors for mistake in _mistakes(error, root)]
    meant = {mistake.meant for mistake in found}
    return [mistake for mistake in found if mistake.path not in meant]


def _mistakes(error: ErrorDetails, root: type[BaseModel]) -> Iterator[Mistake]:
    path = error["loc"]
    context = error.get("ctx", {})
    match error["type"]:
        case kind if kind == MISTAKES:
            for below, message in context["found"]:
                yield Mistake((*path, *below), message, between_fields=True)
        case "extra_forbidden":
            close = _close(path, root)
            meant = (*path[:-1], close) if close else None
            yield Mistake(path, _unknown(path, close, root), at_key=True, meant=meant)
        case "missing":
            yield Mistake(path, f"required, {_for_example(path, root)}")
        case "default_factory_not_called":
            return  # follows from another mistake
        case "too_short" if error["input"]:
            return  # there are items, and each is told to be wrong
        case "value_error":
            yield Mistake(path, str(context["error"]))
        case "model_uri" | "parameter" | "alias" | "tracking_uri":
            yield Mistake(path, error["msg"])
        case kind:
            yield Mistake(path, f"expected {_expected(kind, error, path, root)}, got {_got(error['input'])}")


def _got(value: object) -> str:
    """As `describe`; a password is not repeated."""
    if isinstance(value, str) and "://" in value and credentials_in(value):
        return "an address with a password or token in it"
    return describe(value)


def _expected(kind: str, error: ErrorDetails, path: Path, root: type[BaseModel]) -> str:
    context = error.get("ctx", {})
    words = _EXPECTED.get(kind, "another value")
    if kind == "string_pattern_mismatch":
        words = _PATTERNS.get(str(context["pattern"]), f"a text like {context['pattern']}")
    elif kind == "literal_error":
        words = str(context["expected"]).replace("'", "")
    elif kind == "string_type" and isinstance(error["input"], int | float):
        words = "a text (put it in quotes)"
    elif kind in ("model_type", "dict_type", "tuple_type", "too_short"):
        words = f"{words}, {_for_example(path, root)}"
    elif kind in _EXPECTED:
        words = words.format(**context)
    return words


#: By pydantic's type of error; in braces what its context holds.
_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a text",
    "string_unicode": "a text of valid Unicode",
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "at least one",
    "too_long": "at most {max_length} of them",
    "string_too_short": "a text that is not empty",
    "string_too_long": "at most {max_length} characters",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
}

_PATTERNS = {
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": "a name of lower-case letters, digits and dashes between them",
    r"\.(parquet|csv|jsonl)$": "a file that ends in .parquet, .csv or .jsonl",
    r"^[A-Za-z][A-Za-z0-9_.-]*$": "a name of letters, digits, dots, dashes and underscores",
    r"^[A-Za-z][A-Za-z0-9_-]*$": "a name of letters, digits, dashes and underscores",
    r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$": "at most 63 letters, digits, and dashes between them",
    r"^[a-z]{2,}(-[a-z]+)+-[0-9]+$": "a region such as eu-central-1",
    r"^[a-z0-9_-]{1,63}$": "at most 63 lower-case letters, digits, dashes and underscores",
    r"^[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]$": "a name of letters, digits and dashes between them",
    r"^[a-z0-9][a-z0-9.:-]*$": "the id of a project, such as wines-42",
    r"^[a-z]+(-[a-z]+)+[0-9]+$": "a region such as europe-west4",
    r"^[A-Z0-9]+-[A-Z0-9]+$": "the id of a model, such as WIN-WINE",
    r"^[^/\s]+/[^/\s]+$": "a workspace and a project, such as ada/wines",
    r"^[^/\s]+(/[^/\s]+)*$": "a field such as model/uri",
    r"^gs://[^/\s]+/[^\s]+$": "an address such as gs://bucket/models",
    r"^s3://[^/\s]+/[^\s]+$": "an address such as s3://bucket/models",
    r"^[A-Za-z_][A-Za-z0-9_.]*$": "a server's name such as SKLEARN_SERVER or package.Class",
    r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$": "the name of an HTTP header",
    r"^https?://[^\s/?#@]+(/[^\s?#]*)?$": "an address such as http://host:8080",
    r"^https?://[^\s@]+$": "an address such as http://host:8080",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "the name of a variable",
    r"^[A-Za-z0-9.:_-]+$": "an address such as 127.0.0.1",
    r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$": "the name of an object of Kubernetes",
    r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$": "the name of an object of Kubernetes, or nothing",
    r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$": "a size such as 10Gi",
    r"^[^\s]+$": "a text without spaces",
    r"^[A-Za-z0-9_.-]+$": "`id`, or a name of letters, digits, dots, dashes and underscores",
}


def _unknown(path: Path, close: str | None, root: type[BaseModel]) -> str:
    """For a field that does not exist: a close one, where it belongs, or what there is."""
    if close:
        return f'unknown field, did you mean "{close}"?'
    places = list(places_of(root, str(path[-1])))
    if len(places) == 1:
        return f"unknown field here, it belongs in {places[0]}"
    part = part_at(root, path[:-1])
    there = ", ".join(fields_of(part)) if part else ""
    return f"unknown field; known here: {there}" if there else "unknown field"


def _close(path: Path, root: type[BaseModel]) -> str | None:
    """The field of the same part that is spelt most like the last step of `path`."""
    part = part_at(root, path[:-1])
    if part is None:
        return None
    plain = {alias.lower(): alias for alias in fields_of(part)}
    found = difflib.get_close_matches(str(path[-1]).lower().replace("_", ""), plain, n=1, cutoff=0.7)
    return plain[found[0]] if found else None


def _for_example(path: Path, root: type[BaseModel]) -> str:
    """The field's example as one would write it."""
    field = field_at(root, path)
    if field is None and path:  # an item of a list: its list's example holds one
        field = field_at(root, path[:-1])
        examples = [item for listed in (field.examples or [] if field else []) for item in _items(listed)]
    else:
        examples = field.examples if field and field.examples else []
    if len(path) == 1 and field is not None and get_origin(field.annotation) is Literal:
        return f"here {path[0]}: {get_args(field.annotation)[0]}"
    if path == ("spec",) and (part := part_at(root, path)) is not None:
        *others, last = [name for name, found in fields_of(part).items() if found.is_required()]
        return f"here with {', '.join(others)} and {last}" if others else f"here with {last}"
    return f"such as {_flow(examples[0])}" if examples else "see `fairtrial schema`"


def _items(listed: object) -> list[object]:
    return list(listed) if isinstance(listed, list) else []


def _flow(value: object) -> str:
    """A value in YAML's flow style, as in the documentation."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(_flow(inner) for inner in value) + "]"
        case str():
            return value
        case _:
            return json.dumps(value)
