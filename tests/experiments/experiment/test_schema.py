"""The checked-in JSON Schema is the model's, and tells editors what the file's reader would."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fairtrial.experiment import quantities as q
from fairtrial.experiment.schema import schema_text
from fairtrial.experiment.schema_file import schema_file_text

SCHEMA: dict[str, Any] = json.loads(schema_file_text())


def properties() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, part in {"Experiment": SCHEMA, **SCHEMA["$defs"]}.items():
        for field, schema in part["properties"].items():
            yield f"{name}.{field}", schema


def test_the_checked_in_copy_is_in_step() -> None:
    assert schema_file_text() == schema_text(), "run `python -m fairtrial.experiment.schema`"


def test_only_what_is_needed_is_required() -> None:
    assert SCHEMA["required"] == ["apiVersion", "kind", "spec"]
    assert SCHEMA["$defs"]["Spec"]["required"] == ["baseline", "candidates", "metrics"]
    assert SCHEMA["$defs"]["Metric"]["required"] == ["name"]


def test_unknown_fields_are_refused_everywhere() -> None:
    assert all(part["additionalProperties"] is False for part in [SCHEMA, *SCHEMA["$defs"].values()])


def test_every_field_is_described_and_every_default_is_in_words() -> None:
    silent = [name for name, schema in properties() if not schema.get("description")]
    assert silent == []
    for name, schema in properties():
        default = schema.get("default", [])
        if default == []:
            continue
        word = str(default).lower() if isinstance(default, bool) else str(default)
        said = [f"Default: {word}", f"Default: {word}%", f"Default: the column `{word}`"]
        assert any(words in schema["description"] for words in said), name


def test_no_field_offers_null() -> None:
    assert "null" not in re.findall(r'"type": "(\w+)"', schema_file_text())


@pytest.mark.parametrize(
    ("field", "parse"),
    [
        ("LoadTest.maxDuration", q.parse_duration),
        ("LoadTest.arrivalRate", q.parse_rate),
        ("LoadTest.splitShare", q.parse_fraction),
        ("Metric.minEffect", q.parse_margin),
        ("AbTest.weight", q.parse_weight),
    ],
)
def test_patterns_agree_with_the_reader(field: str, parse: Any) -> None:
    schema = dict(properties())[field]
    texts = [option for option in schema.get("anyOf", [schema]) if option["type"] == "string"]
    for text in (
        "90s",
        "1m30s",
        "500ms",
        "2h",
        "100/s",
        "1/x",
        "5%",
        "12.5%",
        "1pp",
        "1 pp",
        "s",
        "-1s",
        "x",
    ):
        offered = any(re.search(option["pattern"], text) for option in texts)
        try:
            parse(text)
            read = True
        except q.QuantityError:
            read = False
        assert offered == read, (field, text)
