"""All that `fairtrial render` can produce is read back, breaks no rule and fits the CRDs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fairtrial.experiment.strategy import Strategy
from fairtrial_graphs.core2 import rules as core2_rules
from fairtrial_graphs.core2.text import parse as parse_core2
from fairtrial_graphs.core2.text import render as render_core2
from fairtrial_graphs.seldon.rules import check
from fairtrial_graphs.seldon.text import parse_all
from fairtrial_servers.formats import FORMATS
from graphs.rendered import Rendered, rendered, strategies
from graphs.written import plain
from ruamel.yaml import YAML

CRDS = Path(__file__).parents[3] / "shared" / "crds"
FILES = {
    "SeldonDeployment": "seldondeployment-v1.17.1.yaml",
    "Model": "core2-model.yaml",
    "Experiment": "core2-experiment.yaml",
    "Pipeline": "core2-pipeline.yaml",
}
KINDS = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, None: object}


@pytest.fixture(scope="module")
def everything() -> list[Rendered]:
    return list(rendered())


def test_every_strategy_has_an_example_and_every_name_is_there_once(everything: list[Rendered]):
    assert len(list(strategies())) >= len(Strategy.model_fields)
    planes = {"/".join(one.name.split("/")[3:]) for one in everything}
    assert planes == {"seldon", "core2", "seldon/istio", "seldon/gateway-api", "seldon/ambassador"}


def test_all_is_read_back_and_breaks_no_rule(everything: list[Rendered]):
    formats = {FORMATS[0].name, "three-arms", "built"}  # a format is one word in the text
    texts = {one.text: one for one in everything if one.name.split("/")[1] in formats}
    for text, one in texts.items():
        assert plain(text) == list(one.documents)
        for deployment in parse_all(text):
            assert check(deployment) == (), one.name
        core2 = parse_core2(text)
        assert core2_rules.check(core2) == (), one.name
        if one.name.endswith("/core2"):
            assert render_core2(core2) == text


@pytest.mark.skipif(not CRDS.exists(), reason="the CRDs are beside a checkout in CI, not in the project")
def test_all_fits_the_crds(everything: list[Rendered]):
    schemas = {
        kind: YAML(typ="safe").load((CRDS / file).read_text(encoding="utf-8"))["spec"]["versions"][0]
        for kind, file in FILES.items()
    }
    for one in everything:
        for document in one.documents:
            if document["kind"] != "HTTPRoute":
                schema = schemas[document["kind"]]["schema"]["openAPIV3Schema"]
                assert list(violations(document, schema)) == [], one.name


def violations(value: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """What a kube-apiserver with strict field validation would say of a value."""
    kind = KINDS[schema.get("type")]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        yield f"{path}: {value!r} is no {schema['type']}"
    elif kind is list:
        for index, part in enumerate(value):
            yield from violations(part, schema["items"], f"{path}.{index}")
    elif kind is dict and path != ".metadata":
        known: dict[str, Any] = schema.get("properties", {})
        rest: Any = schema.get("additionalProperties", {} if not known else None)
        yield from (f"{path}.{name} is missing" for name in schema.get("required", []) if name not in value)
        for name, part in value.items():
            if name not in known and rest is None:
                yield f"{path}.{name} is unknown"
            else:
                yield from violations(part, known.get(name, rest), f"{path}.{name}")
