"""The SeldonDeployments in `manifests`, as teams write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor

FOLDER = Path(__file__).parent / "manifests"
FILES = sorted(FOLDER.glob("*.*"))


class _AsTexts(SafeConstructor):
    pass


_AsTexts.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def plain(text: str, *, of_json: bool = False) -> list[Any]:
    """What a JSON or YAML reader that knows nothing of Fairtrial finds, document by document."""
    if of_json:
        return [json.loads(text)]
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _AsTexts
    return [document for document in yaml.load_all(text) if document is not None]


def plain_deployments(path: Path) -> list[Any]:
    every = plain(path.read_text(encoding="utf-8"), of_json=path.suffix == ".json")
    return [document for document in every if document["kind"] == "SeldonDeployment"]
