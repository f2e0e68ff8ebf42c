"""SeldonDeployments as text: YAML or JSON read, byte-stable YAML written."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from fairtrial_graphs.seldon.types import GROUP, SeldonDeployment

# What every YAML reader, 1.1 ones such as kubectl's included, takes for a string without quotes.
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./@-]*(:[A-Za-z0-9_./@-]+)*")
_NOT_A_STRING = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


class ManifestError(ValueError):
    """The text is no SeldonDeployment; the message says where and why, all mistakes at once."""


def read(path: Path) -> SeldonDeployment:
    """The SeldonDeployment in a file of one or several YAML documents, or JSON. Raises ManifestError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read: {error}") from error
    return parse(text, source=str(path))


def parse(text: str, source: str = "manifest") -> SeldonDeployment:
    """As `read`, from text; `source` is how messages call it. Raises ManifestError."""
    documents = [document for document in _documents(text, source) if is_seldon_deployment(document)]
    if len(documents) != 1:
        found = "there is none" if not documents else f"there are {len(documents)}"
        raise ManifestError(
            f"{source}: one SeldonDeployment is expected (kind, apiVersion {GROUP}/v1); {found}"
        )
    try:
        return SeldonDeployment.model_validate(documents[0])
    except ValidationError as error:
        raise ManifestError("\n".join(_sentences(error, source))) from error


def is_seldon_deployment(document: object) -> bool:
    """Whether plain data says of itself that it is a SeldonDeployment."""
    match document:
        case {"kind": "SeldonDeployment", "apiVersion": str(version)}:
            return version.startswith(f"{GROUP}/")
        case _:
            return False


def render(deployment: SeldonDeployment) -> str:
    """YAML, always the same bytes for the same manifest, safe to read by YAML 1.1 and 1.2 alike."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.width = 1_000_000
    out = io.StringIO()
    yaml.dump(deployment.to_dict(), out)
    return out.getvalue()


class _Constructor(SafeConstructor):
    """Leaves timestamps the strings that the Kubernetes API has for them."""


class _Representer(SafeRepresenter):
    """Keeps the order of fields, and quotes every string that some reader might take for something else."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sort_base_mapping_type_on_output = False

    def represent_str(self, data: str) -> ScalarNode:
        plain = _PLAIN.fullmatch(data) and data.lower() not in _NOT_A_STRING
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if plain else '"')


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)
_Representer.add_representer(str, _Representer.represent_str)


def _documents(text: str, source: str) -> list[Any]:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    try:
        return list(yaml.load_all(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        raise ManifestError(f"{where} is not YAML: {error.problem or error.context}") from error
    except YAMLError as error:
        raise ManifestError(f"{source} is not YAML: {error}") from error


def _sentences(error: ValidationError, source: str) -> list[str]:
    return [
        f"{source} {'.'.join(str(part) for part in mistake['loc']) or 'document'}: "
        f"{mistake['msg'][0].lower()}{mistake['msg'][1:]}"
        for mistake in error.errors()
    ]
