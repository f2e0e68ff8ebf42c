"""SeldonDeployments as teams write them are taken by a real API server, as read and as written back."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster.client import Client
from fairtrial_graphs.seldon.rules import check
from fairtrial_graphs.seldon.text import parse_all
from graphs.written import FILES, plain_deployments

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_no_rule_refuses_is_taken(seldon: Client, namespace: str, path: Path):
    read = parse_all(path.read_text(encoding="utf-8"), source=path.name)
    assert not [finding for each in read for finding in check(each) if finding.refused]
    for plain, deployment in zip(plain_deployments(path), read, strict=True):
        for manifest in (plain, deployment.to_dict()):
            manifest["metadata"].pop("namespace", None)
            stored = seldon.create(manifest, namespace=namespace, dry_run=True)
            assert stored["spec"] == manifest["spec"]
