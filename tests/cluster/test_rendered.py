"""Everything that `fairtrial render` can produce is taken by a real API server that knows every field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
from cluster.client import Client, RefusedError
from fairtrial.errors import UsageError
from fairtrial.planning.manifests import PLANES, ROUTES, manifests_of
from fairtrial_graphs.backends.interface import Route, Sticky
from fairtrial_graphs.seldon.rules import check
from fairtrial_graphs.seldon.text import parse_all
from graphs.rendered import rendered
from graphs.written import FILES

pytestmark = pytest.mark.heavy

Named = tuple[str, tuple[Mapping[str, Any], ...]]


def refusals(client: Client, namespace: str, manifests: Iterable[Named]) -> tuple[list[str], set[str]]:
    """What was refused, in words, and the kinds that were taken."""
    refused: list[str] = []
    taken = set[str]()
    for name, documents in manifests:
        for document in documents:
            metadata = {**document["metadata"], "namespace": namespace}
            try:
                client.apply({**document, "metadata": metadata}, dry_run=True)
                taken.add(document["kind"])
            except RefusedError as error:
                refused.append(f"{name}: {document['kind']} {metadata['name']}: {error}")
    return refused, taken


def by_hand() -> Iterator[Named]:
    """What is made, for each plane and route, of the SeldonDeployments that teams wrote."""
    requests = Route("step-1", Sticky("x-user"))
    for path in FILES:
        for deployment in parse_all(path.read_text(encoding="utf-8"), path.name):
            if deployment.metadata.name is None or any(finding.refused for finding in check(deployment)):
                continue
            for plane in PLANES:
                for route in (None, *ROUTES) if plane == "seldon" else (None,):
                    try:
                        manifests = manifests_of(deployment, requests, plane=plane, route=route)
                    except UsageError:  # the plane or the route cannot do it, and says so
                        continue
                    yield f"{path.stem}/{plane}/{route}", manifests.documents


def test_what_is_made_of_experiments_is_taken(seldon: Client, gateway_api: Client, namespace: str):
    manifests = ((one.name, one.documents) for one in rendered())
    refused, taken = refusals(seldon, namespace, manifests)
    assert refused == []
    assert taken == {"SeldonDeployment", "HTTPRoute", "Model", "Experiment"}


def test_what_is_made_of_manifests_by_hand_is_taken(seldon: Client, gateway_api: Client, namespace: str):
    refused, taken = refusals(seldon, namespace, by_hand())
    assert refused == []
    assert taken >= {"SeldonDeployment", "HTTPRoute", "Model", "Experiment"}
