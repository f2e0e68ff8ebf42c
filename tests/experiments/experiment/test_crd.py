"""The checked-in CustomResourceDefinition is the model's, and says what a resource can be held to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fairtrial.cli.group import cli
from fairtrial.experiment.crd import crd, crd_text
from fairtrial.experiment.schema_file import CRD_NAME, crd_file_text
from fairtrial.experiment.structural import structural

CHART = Path(__file__).parents[3] / "charts" / "fairtrial" / "crds"
VERSION: dict[str, Any] = crd()["spec"]["versions"][0]
SCHEMA: dict[str, Any] = VERSION["schema"]["openAPIV3Schema"]


def fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, each in schema.get("properties", {}).items():
        yield from fields(each, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if inner in schema:
            yield from fields(schema[inner], f"{path}[]")


def test_the_checked_in_copies_are_in_step() -> None:
    told = "run `python -m fairtrial.experiment.crd`"
    assert crd_file_text() == crd_text(), told
    assert (CHART / CRD_NAME).read_text(encoding="utf-8") == crd_text(), told


def test_it_is_printed_as_it_is() -> None:
    printed = CliRunner().invoke(cli, ["schema", "--crd", "--kind", "experiment"]).output
    assert printed == crd_text()
    assert CliRunner().invoke(cli, ["schema", "--crd"]).output.startswith(f"{printed}---\n")
    assert CliRunner().invoke(cli, ["schema", "--crd", "--output", "json"]).exit_code == 2


def test_every_field_of_the_spec_and_of_the_status_is_described() -> None:
    silent = [
        path
        for part in ("spec", "status")
        for path, schema in fields(SCHEMA["properties"][part], part)
        if not schema.get("description") and not path.endswith("[]")
    ]
    assert silent == []


def test_the_api_server_writes_no_defaults_into_a_resource() -> None:
    assert not [path for path, schema in fields(SCHEMA, "") if "default" in schema]


def test_the_columns_are_fields_of_the_status() -> None:
    known = {path for path, _ in fields(SCHEMA, "")}
    assert [column["name"] for column in VERSION["additionalPrinterColumns"]] == [
        "Phase", "Step", "Verdict", "Weights", "Age",
    ]  # fmt: skip
    for column in VERSION["additionalPrinterColumns"]:
        if column["jsonPath"] != ".metadata.creationTimestamp":
            assert column["jsonPath"].removesuffix(".verdict") in known


def test_a_union_that_no_structural_schema_says_is_no_schema_at_all() -> None:
    with pytest.raises(ValueError, match="no structural schema says"):
        structural({"anyOf": [{"type": "string"}, {"type": "object"}]})
    with pytest.raises(ValueError, match="no structural schema says"):
        structural({"properties": {"a": {}}, "type": "object"})
