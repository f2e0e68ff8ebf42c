"""From a Pipeline resource to the two files that `fairtrial watch` takes, or to every mistake in it."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fairtrial_servers.addresses import is_remote
from ruamel.yaml import YAML

from fairtrial.delivery.pinning import unfit
from fairtrial.delivery.pipeline.model import KIND
from fairtrial.errors import UsageError
from fairtrial.experiment import model as experiments
from fairtrial.experiment.checking import validated
from fairtrial.experiment.fields import Path as Place
from fairtrial.experiment.fields import value_at
from fairtrial.experiment.files import missing_files
from fairtrial.experiment.wording import Mistake
from fairtrial.operator.pipelines.spec import Resource, ResourceSpec

PIPELINE_FILE, EXPERIMENT_FILE = "pipeline.yaml", "experiment.yaml"
#: Names beside the pipeline file that are taken.
TAKEN = (PIPELINE_FILE, EXPERIMENT_FILE, "deliveries", "data")

_EXPERIMENT: Place = ("spec", "experiment")
_OF_CLUSTERS = ("experiment", "serve", "pod")


@dataclass(frozen=True)
class Checked:
    """A pipeline without a mistake that can be seen from here."""

    namespace: str
    name: str
    spec: ResourceSpec
    pipeline: str  # the text of pipeline.yaml
    experiment: str  # and of experiment.yaml


def checked(
    namespace: str, name: str, spec: Mapping[str, Any], files: Collection[str], folder: Path
) -> Checked:
    """Raises UsageError with every mistake and its path.

    files: the keys of the ConfigMap that the spec names. folder: an empty one, which gets such files.
    """
    data = _document(KIND, name, dict(spec))
    read = validated(data, folder, Resource)
    found = list(read) if not isinstance(read, Resource) else []
    found += mistakes_beside(data, namespace, files, folder)
    if found or not isinstance(read, Resource):
        told = sorted({f"{'.'.join(map(str, each.path))}: {each.message}" for each in found})
        raise UsageError("; ".join(told))
    return Checked(namespace, name, read.spec, _text(_pipeline(name, spec)), _text(_experiment(name, spec)))


def mistakes_beside(
    data: Mapping[str, Any], namespace: str | None, files: Collection[str] | None, folder: Path
) -> Iterator[Mistake]:
    """What no model sees in a Pipeline resource as read. None of a namespace or of files: not known here."""
    spec = data["spec"]
    if not isinstance(spec, dict):
        return
    yield from _of_place(namespace, spec)
    yield from _of_name(data, spec)
    if isinstance(spec.get("experiment"), dict):
        yield from _of_experiment(spec, files, folder)
    for each in files or ():
        if each in TAKEN:
            yield Mistake(("spec", "pod", "files"), f"{each} is a name that is taken")


def files_of(spec: Mapping[str, Any]) -> str | None:
    """The ConfigMap that a spec names for files, as far as it can be read."""
    named = value_at(spec, ("pod", "files", "configMap"))
    return named if isinstance(named, str) and named else None


def _pipeline(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    rest = {field: value for field, value in spec.items() if field not in _OF_CLUSTERS}
    place = {"experiment": EXPERIMENT_FILE, "serve": spec.get("serve", {"kubernetes": {}})}
    return _document(KIND, name, {**rest, **place})


def _experiment(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return _document(experiments.KIND, name, spec["experiment"])


def _document(kind: str, name: str, spec: Any) -> dict[str, Any]:
    return {"apiVersion": experiments.API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _text(document: Mapping[str, Any]) -> str:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.width = 110
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _of_place(namespace: str | None, spec: Mapping[str, Any]) -> Iterator[Mistake]:
    place: Place = ("serve", "kubernetes", "namespace")
    said = value_at(spec, place)
    if said is not None and namespace is not None and said != namespace:
        why = f"a Pipeline serves in its own namespace, {namespace}; create it in {said}"
        yield Mistake(("spec", *place), why)


def _of_name(data: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[Mistake]:
    place: Place = ("metadata", "name")
    if "listen" in spec and str(value_at(data, place) or "")[:1].isdigit():
        yield Mistake(place, "a Service's name begins with a letter; this pipeline listens")


def _of_experiment(spec: Mapping[str, Any], files: Collection[str] | None, folder: Path) -> Iterator[Mistake]:
    """What the pod would say of it, and what of it is on another machine."""
    document = {"spec": spec["experiment"]}
    found = [*unfit(document), *_of_one_machine(spec["experiment"])]
    if files is not None:
        found += _of_files(document, spec, files, folder, {each.path for each in found})
    for each in found:
        yield replace(each, path=(*_EXPERIMENT, *each.path[1:]))


def _of_files(
    document: dict[str, Any],
    spec: Mapping[str, Any],
    files: Collection[str],
    folder: Path,
    told: Collection[Place],
) -> Iterator[Mistake]:
    for each in files:
        (folder / each).touch()
    has_data = value_at(spec, ("pod", "data")) is not None
    for each in missing_files(document, folder):
        if each.path not in told and not (has_data and _is_data(value_at(document, each.path))):
            yield replace(each, message=_elsewhere(each.message, folder))


def _of_one_machine(spec: Mapping[str, Any]) -> Iterator[Mistake]:
    candidates = spec.get("candidates")
    arms = [(("spec", "baseline"), spec.get("baseline"))]
    arms += [
        (("spec", "candidates", i), each)
        for i, each in enumerate(candidates if isinstance(candidates, list) else ())
    ]
    for path, arm in arms:
        if not isinstance(arm, dict):
            continue
        if arm.get("url") is not None:
            yield Mistake((*path, "url"), "a pipeline deploys its arms; remove this")
        uri = arm.get("modelUri")
        if isinstance(uri, str) and uri and not is_remote(uri):
            why = "say the version's address at the registry, such as models:/wine@champion"
            yield Mistake((*path, "modelUri"), f"{uri} is a file of one machine; {why}")


def _is_data(named: object) -> bool:
    """Whether it is on the volume, which nobody looks at from here."""
    return isinstance(named, str) and posixpath.normpath(named).startswith("data/")


def _elsewhere(message: str, folder: Path) -> str:
    where = "bring it by spec.pod.files, or by spec.pod.data as data/..."
    return f"{message.replace(f'{folder}/', '')}; {where}"
