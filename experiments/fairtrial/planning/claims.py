"""What the judge is told, from what the experiment says."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fairtrial.controller.progression import Step
from fairtrial.experiment.metrics import Metric
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.quantities import Margin as Quantity
from fairtrial.judge.spec import JudgeSpec, Kind, Margin, Method, MetricSpec, Role, Spending
from fairtrial.planning.sending import sending_of

#: Time batches a run is cut into, for strata and batch means: thirty must pass before latency is judged,
#: and a regression that anyone can see should not have to wait for that.
_BATCHES_PER_RUN = 240
_BATCH_SECONDS = (0.25, 1.0)
#: The tables of a day that is cut into seconds would not fit the memory.
_MOST_BATCHES = 4096


def claims_of(
    experiment: Experiment, steps: Sequence[Step], rows: int, users: int | None = None
) -> JudgeSpec:
    """The judge's spec; `rows` is how many distinct rows the data has, `users` how many users they are of.

    Live traffic replays no rows.
    """
    spec = experiment.spec
    analysis = spec.analysis
    sending = sending_of(experiment) if spec.traffic.live is None else None
    longest_run = spec.traffic.bounds.max_duration
    if sending is not None and sending.seconds < longest_run:
        # A trace ends by itself, and its last look is a whole one.
        longest_run = math.ceil(sending.seconds / analysis.look_interval) * analysis.look_interval
    shortest, longest = _BATCH_SECONDS
    return JudgeSpec(
        baseline=spec.baseline.name,
        candidates=tuple(candidate.name for candidate in spec.candidates),
        metrics=tuple(_metric(metric, experiment, steps, rows, users) for metric in spec.metrics),
        alpha=analysis.false_positive_rate,
        power=analysis.power,
        method=(method := Method(analysis.method)),
        spending=Spending(analysis.spending),
        planned_looks=(
            analysis.looks
            if method is Method.GROUP_SEQUENTIAL
            else max(1, math.ceil(longest_run / analysis.look_interval))
        ),
        look_interval=analysis.look_interval,
        batch_seconds=max(
            min(longest, max(shortest, longest_run / _BATCHES_PER_RUN)), longest_run / _MOST_BATCHES
        ),
        warm_up=analysis.warm_up if analysis.warm_up != "auto" else 0.0,
        auto_warm_up=analysis.warm_up == "auto",
        # A load that changes is judged on the whole of it: before the peak nothing is known of the peak.
        full_cycle=analysis.full_cycle,
        load_cycle=sending.cycle if sending is not None else 0.0,
        load_gap=sending.longest_gap if sending is not None else 0.0,
        min_observations=analysis.min_requests,
        max_duration=longest_run,
        weights={
            step.revision: {arm: percent / 100 for arm, percent in step.weights.items()}
            for step in steps
            if spec.traffic.live is None or step.shadow is None  # copies are requests that no weight gave
        },
        last_segment=_last_segment(experiment, steps),
        weaknesses=_weaknesses(experiment),
        abort_error_rate=spec.abort.error_rate if spec.abort else None,
    )


def _metric(
    metric: Metric, experiment: Experiment, steps: Sequence[Step], rows: int, users: int | None
) -> MetricSpec:
    traffic, analysis = experiment.spec.traffic, experiment.spec.analysis
    paired = traffic.paired and metric.scored and metric.quantile is None
    by_unit = analysis.unit == "user" and metric.kind != "quantile" and not paired
    pairs, smaller_arm = horizon(experiment, steps)
    observations = pairs if paired else smaller_arm
    if by_unit and users is not None:
        least = min(min(step.weights.values()) for step in foreseen(experiment, steps)) / 100
        # A user stays with an arm; where the split sends nobody to one, pairs bring all users to both.
        observations = min(observations, round(users * least) if least else users)
    once = metric.scored and not by_unit and traffic.live is None
    return MetricSpec(
        name=metric.name,
        kind=Kind(metric.kind),
        role=Role(metric.role),
        column=metric.column,
        higher_is_better=metric.higher_is_better,
        margin=_margin(metric.margin),
        design_effect=_margin(metric.design_effect) if metric.design_effect else None,
        quantile=metric.quantile,
        once_per_row=once,
        paired=paired,
        max_observations=max(1, min(observations, rows) if once else observations),
        slo=metric.slo,
        denominator=metric.denominator,
        covariate=metric.covariate,
        cap=metric.cap,
        by_unit=by_unit,
    )


def horizon(experiment: Experiment, steps: Sequence[Step]) -> tuple[int, int]:
    """(pairs, requests of the smaller arm) that the load will bring at most, or users are expected to."""
    live = experiment.spec.traffic.live
    if live is not None:
        requests = live.expected_rate * live.max_duration
        return 0, round(requests * min(min(shares(step).values()) for step in foreseen(experiment, steps)))
    load = experiment.spec.traffic.driven
    arrivals = sending_of(experiment).arrivals
    share = load.split_share if load.paired else 1.0
    pairs = arrivals * (1 - share)
    least = min(min(step.weights.values()) for step in foreseen(experiment, steps)) / 100
    return round(pairs), round(pairs + arrivals * share * least)


def shares(step: Step) -> dict[str, float]:
    """The share of users' requests that each arm gets during a step, a shadow's copies included."""
    found = {arm: percent / 100 for arm, percent in step.weights.items()}
    if step.shadow is not None:
        found[step.shadow.arm] = step.shadow.percent / 100
    return found


def _last_segment(experiment: Experiment, steps: Sequence[Step]) -> str | None:
    """Users must have met the candidate at its last weight before it may have all of them."""
    spec = experiment.spec
    return steps[-1].revision if spec.traffic.live is not None and spec.strategy.canary is not None else None


def _weaknesses(experiment: Experiment) -> tuple[str, ...]:
    live = experiment.spec.traffic.live
    load = experiment.spec.traffic.load_test
    if load is not None and load.locustfile is not None:
        return (
            f"The requests are those of the users in {load.locustfile}, who wait for an answer before they "
            "ask again: what they would have asked while a server was slow is missing, latency counts from "
            "the send that was, and the requests of one user are not independent of each other.",
        )
    if experiment.generate is not None:
        return (
            "The requests were made up at random from what the models say of their inputs: "
            "those of users may take them longer, or other ways.",
        )
    if live is None or live.source != "prometheus":
        return ()
    return (
        "The evidence is from histograms, which is weaker than from single requests: latencies are taken to "
        "be spread evenly between two edges, slower ones than the last edge as twice that, and failed "
        "requests to be as slow as they were.",
    )


def foreseen(experiment: Experiment, steps: Sequence[Step]) -> Sequence[Step]:
    """The splits that a plan counts on.

    Of a bandit's the even one, with which it begins: what it takes from an arm later is information that
    the comparison then lacks, and a boundary that has not spent all of its rate at the end errs less.
    """
    return steps[:1] if experiment.spec.strategy.bandit is not None else steps


def _margin(quantity: Quantity) -> Margin:
    return Margin(quantity.value, quantity.relative)
