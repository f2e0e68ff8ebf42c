"""SeldonDeployments as teams write them: read, checked, and written back with nothing lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fairtrial_graphs.seldon.rules import check
from fairtrial_graphs.seldon.text import mistakes, parse, parse_all, render
from graphs.written import FILES, plain, plain_deployments
from hypothesis import given, settings
from hypothesis import strategies as st

names = st.from_regex(r"[a-z]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
strings = st.dictionaries(st.text(min_size=1), st.text(), max_size=3)


def fields(required: dict[str, Any], **optional: Any) -> Any:
    """Mappings with some of the optional fields, and with ones that the types do not know."""
    unknown = st.dictionaries(st.from_regex(r"x[A-Za-z_]{1,8}", fullmatch=True), anything, max_size=2)
    known = st.fixed_dictionaries(required, optional=optional)
    return st.tuples(known, unknown).map(lambda pair: {**pair[1], **pair[0]})


metadata = fields({}, name=names, namespace=names, labels=strings, annotations=strings)
env = st.lists(
    fields({"name": names}, value=st.text(), valueFrom=st.dictionaries(names, anything, max_size=1))
)
container = fields({"name": names}, image=st.text(), env=env, args=st.lists(st.text()))
component = fields(
    {},
    metadata=metadata,
    spec=fields({}, containers=st.lists(container, max_size=2)),
    hpaSpec=st.dictionaries(names, anything, max_size=2),
    replicas=st.integers(0, 9),
)
leaf = fields(
    {"name": names},
    implementation=st.sampled_from(["SKLEARN_SERVER", "RANDOM_ABTEST", "", "X"]),
    modelUri=st.text(),
    type=st.sampled_from(["MODEL", "ROUTER"]),
    parameters=st.lists(fields({"name": names, "value": st.text(), "type": names}), max_size=2),
    logger=fields({}, mode=names, url=st.text()),
)
graphs = st.recursive(
    leaf,
    lambda node: st.tuples(leaf, st.lists(node, max_size=3)).map(
        lambda pair: {**pair[0], "children": pair[1]}
    ),
    max_leaves=4,
)
predictor = fields(
    {"name": names, "graph": graphs},
    componentSpecs=st.lists(component, max_size=2),
    traffic=st.integers(-5, 120),
    shadow=st.booleans(),
    annotations=strings,
    svcOrchSpec=fields({}, env=env),
)
manifests = fields(
    {
        "apiVersion": st.sampled_from(
            [f"machinelearning.seldon.io/{v}" for v in ("v1", "v1alpha2", "v1alpha3")]
        ),
        "kind": st.just("SeldonDeployment"),
        "metadata": metadata,
        "spec": fields(
            {"predictors": st.lists(predictor, max_size=3)},
            name=st.text(),
            protocol=st.sampled_from(["v2", "seldon"]),
            oauth_key=st.text(),
        ),
    },
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_a_team_wrote_is_written_back_with_nothing_lost_or_added(path: Path):
    deployments = parse_all(path.read_text(encoding="utf-8"), str(path))
    assert [deployment.to_dict() for deployment in deployments] == plain_deployments(path)
    for deployment in deployments:
        once = render(deployment)
        assert parse(once) == deployment
        assert plain(once) == [deployment.to_dict()]
        assert render(parse(once)) == once


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_that_a_team_wrote_would_be_refused(path: Path):
    refused, mishandled = mistakes(path.read_text(encoding="utf-8"), path.name)
    assert refused == ()
    # Their routers get no feedback that says which branch answered.
    paths = ["spec.predictors.0.svcOrchSpec.env"] if path.name in {"bandit.json", "mixed.yaml"} else []
    assert [problem.path for problem in mishandled] == paths


@settings(max_examples=30, deadline=None)
@given(manifests)
def test_any_manifest_survives_being_written_and_read(data: dict[str, Any]):
    from fairtrial_graphs.seldon.types import SeldonDeployment

    deployment = SeldonDeployment.model_validate(data)
    assert deployment.to_dict() == data
    again = parse(render(deployment))
    assert again.to_dict() == data
    assert render(again) == render(deployment)
    for finding in check(deployment):
        assert str(finding)
