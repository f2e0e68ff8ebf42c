"""The load of an experiment, from wherever an earlier process left it."""

from __future__ import annotations

from fairtrial_graphs.backends.interface import Serving
from fairtrial_loadtests.observation import SCHEMA
from fairtrial_loadtests.parts import next_arrival
from fairtrial_loadtests.plan import Arrivals, LoadPlan, Requests, Split, Target, UnitIn

from fairtrial.errors import UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.stickiness import Sticky
from fairtrial.journal.folder import RunFolder


def check_measured(experiment: Experiment) -> None:
    """Raises UsageError for a metric whose columns no load test measures, though recordings may have them."""
    if experiment.spec.traffic.live is not None:
        return  # the file's own rules say what a live source tells
    measured = {*SCHEMA.names, "error"}
    for metric in experiment.spec.metrics:
        for column in (metric.column, metric.denominator, metric.covariate):
            if column is not None and column not in measured:
                raise UsageError(
                    f"metric {metric.name} needs the column {column}, which a load test does not measure; "
                    f"`fairtrial judge --data` takes observations that have it"
                )


def load_plan(
    experiment: Experiment, serving: Serving, folder: RunFolder, *, alone: str | None = None
) -> LoadPlan:
    """The whole load, to be begun at the first arrival that is not recorded.

    alone: the one arm that it is sent to; all of them unless said.
    """
    spec = experiment.spec
    load = spec.traffic.driven
    arms = (
        [alone]
        if alone is not None
        else [spec.baseline.name, *(candidate.name for candidate in spec.candidates)]
    )
    first_arrival, first_part = next_arrival(folder.observations)
    requests = load.requests
    return LoadPlan(
        targets=tuple(Target(name, serving.arms[name].url, serving.arms[name].model) for name in arms),
        split=None
        if spec.elsewhere or alone is not None
        else Split(
            serving.url,
            experiment.metadata.name if serving.names_model else "",
            load.split_share if load.paired else 1.0,
        ),
        arrivals=Arrivals(load.arrival_rate, load.process, load.max_duration),
        requests=Requests(
            data=experiment.folder.absolute() / requests.data,
            target=requests.target if spec.scored or _says_target(experiment) else None,
            unit=requests.unit,
            exclude=requests.exclude,
        ),
        output=folder.observations,
        seed=spec.analysis.seed,
        first_arrival=first_arrival,
        first_part=first_part,
        timeout=load.timeout,
        max_in_flight=load.max_in_flight,
        sticky=_sent_as(spec.sticky) if spec.sticky else None,
    )


def _sent_as(sticky: Sticky) -> UnitIn:
    if sticky.cookie is not None:
        return UnitIn("cookie", sticky.cookie.name)
    if sticky.key is not None:
        return UnitIn("key", sticky.key)
    assert sticky.header is not None
    return UnitIn("header", sticky.header)


def _says_target(experiment: Experiment) -> bool:
    return "target" in experiment.spec.traffic.driven.requests.model_fields_set
