"""The experiment that a version is put to: the pipeline's own, with two versions in place of its two arms."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from fairtrial.errors import UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.reading import load

_FORBIDDEN_IN_NAMES = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Pinned:
    """One version as an arm: where a server fetches it, or the image that has it."""

    version: str
    uri: str

    @property
    def arm(self) -> str:
        """The name of the arm, and of its predictor: the same for a version wherever it is named."""
        return arm_of(self.version)


def arm_of(version: str) -> str:
    """ "7" -> "v7"."""
    plain = _FORBIDDEN_IN_NAMES.sub("-", version.lower()).strip("-")[:40]
    return plain if plain.startswith("v") else f"v{plain}"


def load_template(path: Path) -> Experiment:
    """The pipeline's experiment. Raises UsageError where the pipeline could not do with it, in words."""
    template = load(path)
    spec = template.spec
    wrong: list[str] = []
    if len(spec.candidates) > 1:
        wrong.append("spec.candidates: a pipeline tries one version at a time; leave one of them")
    if spec.promotion is not None:
        wrong.append("spec.promotion: the pipeline moves the registry's alias; remove it")
    if spec.on_inconclusive == "hold":
        wrong.append("spec.onInconclusive: hold leaves two versions in service; a pipeline needs one")
    if spec.deployment is not None:
        wrong.append("spec.deployment: a pipeline replaces the models of the arms; describe them in the arms")
    if wrong:
        raise UsageError("\n".join(f"{path}: {line}" for line in wrong))
    return template


def pinned_text(path: Path, baseline: Pinned, candidate: Pinned | None) -> str:
    """The template's text with these versions; what else it says of its arms stays.

    candidate: None for a deployment of the baseline alone; the template's own stays, and is not deployed.
    """
    yaml = YAML()
    yaml.width = 200
    document: Any = yaml.load(path.read_text(encoding="utf-8"))
    spec = document["spec"]
    _put(spec["baseline"], baseline)
    if candidate is not None:
        _put(spec["candidates"][0], candidate)
    else:
        spec["candidates"][0]["name"] = f"not-{baseline.arm}"  # which may be the template's own name for it
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _put(arm: Any, pinned: Pinned) -> None:
    arm["name"] = pinned.arm
    arm["modelUri"] = pinned.uri
