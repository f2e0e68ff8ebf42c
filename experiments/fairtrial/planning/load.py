"""The load of an experiment, from wherever an earlier process left it."""

from __future__ import annotations

from collections.abc import Iterable

from fairtrial_graphs.backends.interface import ArmEndpoint, Serving
from fairtrial_loadtests.observation import SCHEMA
from fairtrial_loadtests.parts import next_arrival, seconds_loaded
from fairtrial_loadtests.plan import Generate, LoadPlan, Requests, Split, Target, UnitIn, Users

from fairtrial.errors import UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.stickiness import Sticky
from fairtrial.journal.folder import RunFolder
from fairtrial.planning.sending import arrivals_of


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
    experiment: Experiment,
    serving: Serving,
    folder: RunFolder,
    *,
    alone: str | None = None,
    begun: Iterable[int] = (),
) -> LoadPlan:
    """The whole load, to be begun at the first arrival that is not recorded.

    alone: the one arm that it is sent to; all of them unless said. begun: the first part of each load that
    was begun before.
    Raises UsageError where the arms do not speak the load's protocol.
    """
    spec = experiment.spec
    load = spec.traffic.driven
    arms = (
        [alone]
        if alone is not None
        else [spec.baseline.name, *(candidate.name for candidate in spec.candidates)]
    )
    first_arrival, first_part = next_arrival(folder.observations)
    return LoadPlan(
        targets=tuple(
            Target(name, _address(serving.arms[name], load.protocol), serving.arms[name].model)
            for name in arms
        ),
        split=None
        if spec.elsewhere or alone is not None
        else Split(
            serving.url,
            experiment.metadata.name if serving.names_model else "",
            load.split_share if load.paired else 1.0,
        ),
        arrivals=arrivals_of(experiment),
        requests=_requests(experiment),
        output=folder.observations,
        seed=spec.analysis.seed,
        first_arrival=first_arrival,
        first_part=first_part,
        timeout=load.timeout,
        max_in_flight=load.max_in_flight,
        protocol=load.protocol,
        users=Users(experiment.folder.absolute() / load.locustfile, load.users) if load.locustfile else None,
        loaded=seconds_loaded(folder.observations, begun) if load.locustfile else 0.0,
        sticky=_sent_as(spec.sticky) if spec.sticky else None,
    )


def _address(arm: ArmEndpoint, protocol: str) -> str:
    if protocol == "rest":
        return arm.url
    if arm.grpc is None:
        raise UsageError(
            f"{arm.predictor} takes no gRPC calls where it runs; say `traffic.loadTest.protocol: rest`"
        )
    return f"http://{arm.grpc}"


def _requests(experiment: Experiment) -> Requests:
    if experiment.spec.traffic.driven.locustfile is not None:
        return Requests(None)
    made_up, requests = experiment.generate, experiment.spec.traffic.driven.requests
    if made_up is not None:
        return Requests(None, generate=Generate(made_up.rows, made_up.size))
    return Requests(
        data=experiment.folder.absolute() / requests.data,
        target=requests.target if experiment.spec.scored or _says_target(experiment) else None,
        unit=requests.unit,
        exclude=requests.exclude,
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
