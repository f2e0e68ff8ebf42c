"""The checked-in definition of Pipelines is the model's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner
from experiments.experiment.test_crd import fields
from fairtrial.cli.group import cli
from fairtrial.operator.pipelines.crd import crd, crd_text
from fairtrial.operator.pipelines.crd_file import CRD_NAME, pipeline_crd_file_text

CHART = Path(__file__).parents[4] / "charts" / "fairtrial" / "crds"
VERSION: dict[str, Any] = crd()["spec"]["versions"][0]
SCHEMA: dict[str, Any] = VERSION["schema"]["openAPIV3Schema"]


def test_the_checked_in_copies_are_in_step():
    told = "run `python -m fairtrial.operator.pipelines.crd`"
    assert pipeline_crd_file_text() == crd_text(), told
    assert (CHART / CRD_NAME).read_text(encoding="utf-8") == crd_text(), told


def test_it_is_printed_as_it_is():
    printed = CliRunner().invoke(cli, ["schema", "--kind", "pipeline", "--crd"]).output
    assert printed == crd_text()
    both = CliRunner().invoke(cli, ["schema", "--crd"]).output
    assert both.endswith(f"\n---\n{printed}")


def test_every_field_is_described_and_none_is_filled_in():
    found = [each for part in ("spec", "status") for each in fields(SCHEMA["properties"][part], part)]
    assert [path for path, each in found if not each.get("description") and not path.endswith("[]")] == []
    assert [path for path, each in found if "default" in each] == []


def test_what_a_pod_is_told_is_kept_as_it_is():
    pod = SCHEMA["properties"]["spec"]["properties"]["pod"]["properties"]
    for name in ("resources", "affinity", "nodeSelector"):
        assert pod[name]["x-kubernetes-preserve-unknown-fields"] is True
    for name in ("env", "envFrom", "tolerations", "imagePullSecrets"):
        assert pod[name]["items"]["x-kubernetes-preserve-unknown-fields"] is True


def test_its_columns_are_fields_of_the_status():
    known = {f".{path}" for path, _ in fields(SCHEMA["properties"]["status"], "status")}
    columns = VERSION["additionalPrinterColumns"]
    assert [each["name"] for each in columns] == ["Phase", "In service", "Last", "Age"]
    assert {each["jsonPath"] for each in columns} - known == {".metadata.creationTimestamp"}
