"""The experiment that a version is put to: the pipeline's own, with two versions in place of its two arms."""

from __future__ import annotations

import copy
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from fairtrial.experiment.files import missing_files
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.reading import EXPERIMENT
from fairtrial.experiment.typed_files import load_as
from fairtrial.experiment.wording import Mistake

#: What is said of a model's files; an image was packed by it.
_OF_FILES = ("format", "implementation", "signature")
_FORBIDDEN_IN_NAMES = re.compile(r"[^a-z0-9]+")
_NOT_IN_PIPELINES = {
    "promotion": "the pipeline moves the registry's alias; remove it",
    "deployment": "a pipeline replaces the models of the arms; describe them in the arms",
}


@dataclass(frozen=True)
class Pinned:
    """One version as an arm: where a server fetches it, or the image that has it."""

    version: str
    uri: str
    image: str | None = None  # with its digest

    @property
    def arm(self) -> str:
        """The name of the arm, and of its predictor: the same for a version wherever it is named."""
        return arm_of(self.version)


def arm_of(version: str) -> str:
    """ "7" -> "v7"."""
    plain = _FORBIDDEN_IN_NAMES.sub("-", version.lower()).strip("-")[:40]
    return plain if plain.startswith("v") else f"v{plain}"


def _of_no_use(data: dict[str, Any], folder: Path) -> Iterator[Mistake]:
    """What is no good for a run either, and what is none for a pipeline."""
    yield from missing_files(data, folder)
    yield from unfit(data)


def unfit(data: Mapping[str, Any]) -> Iterator[Mistake]:
    """What a run can do with, and a pipeline cannot, in an experiment as read."""
    spec = data.get("spec")
    if not isinstance(spec, dict):
        return
    candidates = spec.get("candidates")
    if isinstance(candidates, list) and len(candidates) > 1:
        why = "a pipeline tries one version at a time; leave one of them"
        yield Mistake(("spec", "candidates", 1), why)
    if spec.get("onInconclusive") == "hold":
        why = "hold leaves two versions in service; a pipeline needs one"
        yield Mistake(("spec", "onInconclusive"), why)
    for field, why in _NOT_IN_PIPELINES.items():
        if field in spec:
            yield Mistake(("spec", field), why, at_key=True)


_TEMPLATE = replace(EXPERIMENT, missing=_of_no_use)


def load_template(path: Path) -> Experiment:
    """The pipeline's experiment. Raises UsageError, and ExperimentFileError where it is of no use to one."""
    return load_as(_TEMPLATE, path)


def pinned_text(path: Path, baseline: Pinned, candidate: Pinned | None) -> str:
    """The template's text with these versions; what else it says of its arms stays.

    candidate: None for a deployment of the baseline alone; the template's own stays, and is not deployed.
    """
    yaml = YAML()
    yaml.width = 200
    document: Any = yaml.load(path.read_text(encoding="utf-8"))
    spec = document["spec"]
    names = (spec["baseline"].get("name", "baseline"), spec["candidates"][0].get("name", "candidate"))
    # What the candidate's section says holds for every version, so that a promotion changes nothing of it.
    spec["baseline"] = copy.deepcopy(spec["candidates"][0])
    _put(spec["baseline"], baseline)
    if candidate is not None:
        _put(spec["candidates"][0], candidate)
    else:
        spec["candidates"][0]["name"] = f"not-{baseline.arm}"  # which may be the template's own name for it
    _rename_weights(
        spec, dict(zip(names, (spec["baseline"]["name"], spec["candidates"][0]["name"]), strict=True))
    )
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _rename_weights(spec: Any, names: dict[str, str]) -> None:
    """The one place where a strategy calls the arms by their names."""
    ab_test = (spec.get("strategy") or {}).get("abTest")
    if ab_test and ab_test.get("weights"):
        ab_test["weights"] = {names[name]: share for name, share in ab_test["weights"].items()}


def _put(arm: Any, pinned: Pinned) -> None:
    arm["name"] = pinned.arm
    if pinned.image is None:
        arm["modelUri"] = pinned.uri
        return
    arm["image"] = pinned.image
    for field in ("modelUri", *_OF_FILES):
        arm.pop(field, None)
