"""Our servers as Seldon's operator must know them: `predictor_servers` in its ConfigMap seldon-config.

`python -m fairtrial_servers.predictor_servers` prints the entries as values of Seldon's Helm chart. With
`--patch` it reads that ConfigMap as JSON from standard input and prints what `kubectl patch` adds them by.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import metadata
from typing import Any

import yaml

from fairtrial_servers.errors import ServerError
from fairtrial_servers.formats import FORMATS

#: Without a registry: as built from images/servers, and loaded into a cluster on this machine.
IMAGE = "fairtrial-servers"
_KEY = "predictor_servers"
_HEAD = (
    "# Values of Seldon's chart seldon-core-operator: Helm merges them with the servers that are there.\n"
    "# Made by `python -m fairtrial_servers.predictor_servers`; do not edit.\n"
)


def predictor_servers(image: str, version: str) -> dict[str, Any]:
    """The entry of each format by the name that `implementation:` says; each has an image of its own."""
    return {
        known.servers[0]: {
            "protocols": {"v2": {"image": image, "defaultImageVersion": f"{version}-{known.name}"}}
        }
        for known in FORMATS
    }


def values_text(image: str, version: str) -> str:
    """YAML for `helm upgrade --values`."""
    return _HEAD + yaml.safe_dump({_KEY: predictor_servers(image, version)}, sort_keys=False)


def patch(config: str, image: str, version: str) -> str:
    """The change to the ConfigMap `config` (JSON) that puts our entries beside those that it has, as JSON.

    Raises ServerError where it is no such ConfigMap: broken JSON in this place ends Seldon's operator.
    """
    try:
        known = json.loads(json.loads(config)["data"].get(_KEY) or "{}")
        servers = known | predictor_servers(image, version)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ServerError(
            "expected the ConfigMap seldon-config on standard input, as `kubectl get configmap seldon-config "
            f"--namespace seldon-system --output json` prints it: {type(error).__name__}: {error}"
        ) from error
    return json.dumps({"data": {_KEY: json.dumps(servers, indent=2)}}) + "\n"


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m fairtrial_servers.predictor_servers")
    asked.add_argument(
        "--image", default=IMAGE, help="of all servers, e.g. registry.example/fairtrial-servers"
    )
    asked.add_argument(
        "--version", default=metadata.version("fairtrial-servers"), help="first part of the tags"
    )
    asked.add_argument("--patch", action="store_true", help="for the ConfigMap on standard input")
    said = asked.parse_args()
    try:
        given = (said.image, said.version)
        print(patch(sys.stdin.read(), *given) if said.patch else values_text(*given), end="")
    except ServerError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
