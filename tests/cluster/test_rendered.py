"""Everything that `fairtrial render` makes is taken by a real API server that knows every field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cluster.client import Client
from fairtrial.cli.group import cli
from fairtrial_servers.formats import FORMATS
from ruamel.yaml import YAML

pytestmark = pytest.mark.heavy

STRATEGIES: Mapping[str, Mapping[str, Any]] = {
    "abTest": {"abTest": {}},
    "abTest at 20%": {"abTest": {"weight": 20}},
    "canary": {"canary": {"steps": [{"setWeight": 3}, {"setWeight": 50, "pause": "5s"}, {"setWeight": 100}]}},
}
ADDRESSES = ("models/v{}", "s3://bucket/wine/{}", "models:/wine@v{}")
CANDIDATES = (1, 3)


def experiment(
    strategy: Mapping[str, Any], format_name: str, address: str, candidates: int
) -> dict[str, Any]:
    def arm(number: int) -> dict[str, Any]:
        parameters = {"method": "predict_proba", "threshold": 0.5, "strict": True}
        uri = address.format(number)
        return {"name": f"v{number}", "modelUri": uri, "format": format_name, "parameters": parameters}

    return {
        "apiVersion": "fairtrial.dev/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": "wine"},
        "spec": {
            "baseline": arm(0),
            "candidates": [arm(number) for number in range(1, candidates + 1)],
            "strategy": strategy,
            "metrics": [{"name": "errorRate", "maxRegression": "1pp"}],
            "sticky": {"header": "x-user"},
            "traffic": {"loadTest": {"requests": {"data": "holdout.csv"}}},
        },
    }


def rendered(folder: Path, content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every object of every step, as the command line prints them."""
    file = folder / "experiment.yaml"
    file.write_text(json.dumps(content), encoding="utf-8")
    step = 1
    while True:
        result = CliRunner().invoke(cli, ["render", str(file), "--step", str(step)])
        if result.exit_code == 2 and f"--step {step}: the strategy of" in result.output:
            assert step > 1
            return
        assert result.exit_code == 0, result.output
        yield from YAML(typ="safe").load_all(result.output)
        step += 1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_step_is_accepted(seldon: Client, namespace: str, tmp_path: Path, strategy: str):
    for number in range(max(CANDIDATES) + 1):
        (tmp_path / "models" / f"v{number}").mkdir(parents=True)
    (tmp_path / "holdout.csv").write_text("a,target\n1,0\n2,1\n", encoding="utf-8")
    seen = 0
    for kind, address, candidates in product(FORMATS, ADDRESSES, CANDIDATES):
        content = experiment(STRATEGIES[strategy], kind.name, address, candidates)
        for manifest in rendered(tmp_path, content):
            seldon.apply(manifest, namespace=namespace, dry_run=True)
            seen += 1
    assert seen >= len(FORMATS) * len(ADDRESSES) * len(CANDIDATES)
