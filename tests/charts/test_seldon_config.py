"""The servers that Seldon's operator is told of are the ones that there are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairtrial_graphs.seldon.rules import nodes
from fairtrial_servers.errors import ServerError
from fairtrial_servers.formats import FORMATS
from fairtrial_servers.predictor_servers import IMAGE, patch, predictor_servers, values_text

VALUES = Path(__file__).parents[2] / "charts/seldon-config/values.yaml"


def config(servers: str) -> str:
    return json.dumps(
        {
            "kind": "ConfigMap",
            "metadata": {"name": "seldon-config"},
            "data": servers and {"predictor_servers": servers},
        }
    )


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "fairtrial_servers.predictor_servers", *arguments]
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=60, check=False)


def test_the_values_in_the_charts_are_those_of_the_formats():
    version = yaml.safe_load((VALUES.parents[1] / "fairtrial/Chart.yaml").read_text())["appVersion"]
    assert VALUES.read_text() == values_text(IMAGE, version), (
        "run `python -m fairtrial_servers.predictor_servers > charts/seldon-config/values.yaml`"
    )


def test_every_format_has_an_image_of_its_own_in_the_nested_shape():
    servers = predictor_servers("registry.example/servers", "1.2.3")
    assert len(servers) == len(FORMATS)
    assert servers["FAIRTRIAL_ONNX_SERVER"] == {
        "protocols": {"v2": {"image": "registry.example/servers", "defaultImageVersion": "1.2.3-onnx"}}
    }
    assert len({json.dumps(each) for each in servers.values()}) == len(FORMATS)
    assert not servers.keys() & nodes.STOCK_SERVERS


def test_a_patch_keeps_the_servers_that_are_there_and_replaces_ours():
    there: dict[str, Any] = {
        "SKLEARN_SERVER": {"protocols": {"seldon": {"image": "stock", "defaultImageVersion": "1"}}},
        "FAIRTRIAL_ONNX_SERVER": {"protocols": {"v2": {"image": "old", "defaultImageVersion": "0"}}},
    }
    told = run("--patch", "--image", "new", "--version", "2", stdin=config(json.dumps(there)))
    assert told.returncode == 0, told.stderr
    change = json.loads(told.stdout)
    assert set(change) == {"data"}
    servers = json.loads(change["data"]["predictor_servers"])
    assert servers["SKLEARN_SERVER"] == there["SKLEARN_SERVER"]
    assert servers["FAIRTRIAL_ONNX_SERVER"]["protocols"]["v2"]["image"] == "new"


@pytest.mark.parametrize("given", ["", "[]", "{}", config("{not json"), config('"a text"'), config("")])
def test_what_is_no_such_config_map_is_refused_in_one_sentence(given: str):
    with pytest.raises(ServerError, match="expected the ConfigMap seldon-config"):
        patch(given, "image", "1")


def test_the_command_refuses_without_a_traceback():
    told = run("--patch", stdin="nonsense")
    assert told.returncode == 2
    assert told.stdout == ""
    assert len(told.stderr.splitlines()) == 1
