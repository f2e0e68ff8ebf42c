"""What makes Core 2 resources wrong, as sentences; what Core 2's scheduler would refuse among it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from fairtrial_graphs.core2.types import AnyResource, Experiment, Model, Pipeline

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def check(resources: Sequence[AnyResource]) -> tuple[str, ...]:
    """Each sentence begins with the kind, the name and the field that it is about.

    References to what is not among `resources` are told only where some resource of that kind is: a team may
    keep its models elsewhere.
    """
    return tuple(_findings(resources))


def _findings(resources: Sequence[AnyResource]) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    names = {kind: {r.metadata.name for r in resources if r.kind == kind} for kind in ("Model", "Pipeline")}
    defaults: dict[tuple[str, str], str] = {}
    for resource in resources:
        name = resource.metadata.name or ""
        where = f"{resource.kind} {name}"
        if not _DNS_LABEL.fullmatch(name):
            yield (
                f'{where} metadata.name: "{name}" must be small letters, digits and hyphens, '
                "a letter or digit at both ends, at most 63 of them"
            )
        if (resource.kind, name) in seen:
            yield f"{where} metadata.name: there are two of this kind and name; choose another"
        seen.add((resource.kind, name))
        match resource:
            case Model():
                yield from _model(where, resource)
            case Experiment():
                yield from _experiment(where, resource, names)
                of, default = resource.spec.resourceType or "model", resource.spec.default
                if default is not None and defaults.setdefault((of, default), name) != name:
                    yield (
                        f"{where} spec.default: {default} is already the default of Experiment "
                        f"{defaults[of, default]}, and a {of} is split once"
                    )
            case Pipeline():
                yield from _pipeline(where, resource, names["Model"])


def _model(where: str, model: Model) -> Iterator[str]:
    spec = model.spec
    if not spec.storageUri:
        yield f"{where} spec.storageUri: say where the model is"
    if spec.logger is not None and spec.logger.percent is not None and not 0 <= spec.logger.percent <= 100:
        yield f"{where} spec.logger.percent: a percentage from 0 to 100, not {spec.logger.percent}"
    if spec.minReplicas and spec.maxReplicas and spec.minReplicas > spec.maxReplicas:
        yield f"{where} spec.minReplicas: {spec.minReplicas} is more than maxReplicas, {spec.maxReplicas}"
    if spec.explainer is not None and bool(spec.explainer.modelRef) == bool(spec.explainer.pipelineRef):
        yield f"{where} spec.explainer: name what it explains, by modelRef or by pipelineRef"


def _experiment(where: str, experiment: Experiment, names: dict[str, set[str | None]]) -> Iterator[str]:
    spec = experiment.spec
    candidates = [candidate.name for candidate in spec.candidates]
    if spec.resourceType not in (None, "model", "pipeline"):
        yield f'{where} spec.resourceType: model or pipeline, not "{spec.resourceType}"'
    if not candidates and spec.mirror is None:
        yield f"{where} spec.candidates: there is neither a candidate nor a mirror"
    if spec.default is not None and spec.default not in candidates:
        yield f"{where} spec.default: {spec.default} must be one of the candidates, {', '.join(candidates)}"
    everyone = candidates + ([spec.mirror.name] if spec.mirror else [])
    for name in sorted({name for name in everyone if everyone.count(name) > 1}):
        yield f"{where} spec.candidates: {name} is named twice; the mirror is no candidate either"
    for index, candidate in enumerate(spec.candidates):
        if candidate.weight < 0:
            yield f"{where} spec.candidates.{index}.weight: 0 or more, not {candidate.weight}"
    if candidates and not any(candidate.weight > 0 for candidate in spec.candidates):
        yield f"{where} spec.candidates: no candidate has any weight"
    if spec.mirror is not None and not 0 <= spec.mirror.percent <= 100:
        yield f"{where} spec.mirror.percent: a percentage from 0 to 100, not {spec.mirror.percent}"
    kind = "Pipeline" if spec.resourceType == "pipeline" else "Model"
    for name in dict.fromkeys(everyone):
        if names[kind] and name not in names[kind]:
            yield f"{where} spec.candidates: there is no {kind} called {name}"


def _pipeline(where: str, pipeline: Pipeline, models: set[str | None]) -> Iterator[str]:
    steps = [step.name for step in pipeline.spec.steps]
    if not steps:
        yield f"{where} spec.steps: there is no step; name at least one"
    for name in sorted({name for name in steps if steps.count(name) > 1}):
        yield f"{where} spec.steps: {name} is a step twice; each step is a Model of its own"
    known = {*steps, pipeline.metadata.name}
    for index, step in enumerate(pipeline.spec.steps):
        if models and step.name not in models:
            yield f"{where} spec.steps.{index}.name: there is no Model called {step.name}"
        for field, sources in (("inputs", step.inputs), ("triggers", step.triggers)):
            for source in sources or ():
                of = source.partition(".")[0]
                if of == step.name:
                    yield f"{where} spec.steps.{index}.{field}: {step.name} waits for itself"
                elif of not in known:
                    yield f"{where} spec.steps.{index}.{field}: {source} comes from no step of this pipeline"
    if not pipeline.spec.allowCycles and (cycle := _cycle(pipeline)):
        yield f"{where} spec.steps: {' waits for '.join(cycle)}; break the circle, or say allowCycles"
    for source in (pipeline.spec.output and pipeline.spec.output.steps) or ():
        if source.partition(".")[0] not in steps:
            yield f"{where} spec.output.steps: {source} comes from no step of this pipeline"


def _cycle(pipeline: Pipeline) -> list[str]:
    """Steps of which each waits for the next and the last for the first; empty where there are none."""
    waits = {
        step.name: {s.partition(".")[0] for s in (*(step.inputs or ()), *(step.triggers or ()))} - {step.name}
        for step in pipeline.spec.steps
    }
    left = dict(waits)
    while ready := [name for name, sources in left.items() if not sources & left.keys()]:
        for name in ready:
            del left[name]
    if not left:
        return []
    path = [next(iter(left))]
    while path.count(path[-1]) == 1:
        path.append(min(waits[path[-1]] & left.keys()))
    return path[path.index(path[-1]) :]
