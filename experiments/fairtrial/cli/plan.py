"""`fairtrial plan`: what a run would do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from fairtrial.cli.budget import budget_option
from fairtrial.cli.output import as_json, output_option, print_json
from fairtrial.cli.stored import baseline_options
from fairtrial.console.diff import print_diff
from fairtrial.console.fetching import fetching_told
from fairtrial.console.power import need_document, need_lines
from fairtrial.controller.asked import stored_baseline
from fairtrial.controller.inputs import digest
from fairtrial.controller.session import Options
from fairtrial.experiment.defaults import filled_in
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.quantities import format_duration, format_rate
from fairtrial.experiment.reading import load
from fairtrial.journal.entries import Effect
from fairtrial.planning.budget import TAKEN_TO_BE_READY, bound_of, bounded, check_budget
from fairtrial.planning.calendar import Calendar
from fairtrial.planning.changes import changes
from fairtrial.planning.claims import horizon
from fairtrial.planning.models import Models
from fairtrial.planning.needs import Needs, needs_of
from fairtrial.planning.plan import Plan, plan_of, rows_of
from fairtrial.planning.sending import arrivals_of, sending_of
from fairtrial.planning.stored import Stored
from fairtrial.planning.words import split_in_words


@click.command("plan")
@click.argument("file", default="experiment.yaml", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Recorded observations of these arms, to plan by their base rates and spread.",
)
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    help="A manifest, or the folder of a run: show what the first step would change of it.",
)
@baseline_options
@budget_option
@output_option
def command(
    file: Path,
    data: Path | None,
    against: Path | None,
    baseline_run: Path | None,
    baseline_arm: str | None,
    budget: float | None,
) -> None:
    """Say what a run of FILE would deploy, send and judge, what it takes to decide, and every default.

    What it takes is computed for the stated power, by the run's own boundary: from recorded observations, or
    else from typical figures, which are told.
    """
    experiment = load(file, check_files=baseline_run is None)
    found = stored_baseline(experiment, Options(baseline_run=baseline_run, baseline_arm=baseline_arm), digest)
    stored = found[0] if found is not None else None
    if stored is not None:
        experiment = bounded(experiment, stored.seconds)
    with fetching_told() as fetching:
        plan = plan_of(experiment, Models(experiment.folder, fetching), stored)
    bound = None
    if budget is not None:
        check_budget(plan.experiment, budget)
        bound = bound_of(plan, budget, min(TAKEN_TO_BE_READY, budget / 2))
        plan = bound.of(plan)
    needs = needs_of(plan.experiment, plan.claims, plan.steps, rows_of(plan.experiment), data)
    diff = changes(against, plan.at_step(0)[0]) if against is not None else None
    if as_json():
        of_diff = {} if diff is None else {"changes": {"against": str(against), "diff": diff}}
        of_budget = {} if bound is None else {"budget": asdict(bound)}
        print_json({**_document(plan, needs), **of_diff, **of_budget})
        return
    for line in _lines(plan, needs):
        click.echo(line)
    if bound is not None:
        ready = format_duration(TAKEN_TO_BE_READY)
        click.echo(f"\nbudget, if the arms are ready within {ready}\n  {bound.words}")
    if diff is not None:
        click.echo(f"\nchanges of {against}")
        if not diff:
            click.echo("  none")
        print_diff(diff)


def _lines(plan: Plan, needs: list[Needs]) -> Iterator[str]:
    spec = plan.experiment.spec
    yield f"experiment {plan.experiment.metadata.name}"
    yield ""
    yield "deploys" if not plan.elsewhere else "deploys nothing"
    for arm in (spec.baseline, *spec.candidates) if plan.elsewhere else ():
        yield f"  {arm.name:12} runs at {arm.url}"
    for predictor in plan.deployment.spec.predictors if not plan.elsewhere else ():
        node = predictor.graph
        yield f"  {predictor.name:12} {node.implementation} {node.modelUri}"
    if plan.stored is not None:
        lasted = format_duration(round(plan.stored.seconds, 1))
        of = f"{lasted} of {plan.stored.arm} in {plan.stored.words}"
        yield f"  {spec.baseline.name:12} is not deployed: {of}"
    bandit = spec.strategy.bandit
    if bandit is not None:
        often = format_duration(bandit.every)
        yield f"  {'bandit':12} begins with {split_in_words(plan.steps[0])}"
        by = f"by the chance to be best on {plan.reward}"
        yield f"  {'':12} anew every {often}, {by}, {bandit.floor}% at least"
    for step in plan.steps if bandit is None and not plan.elsewhere else ():
        limits = (
            f", at least {format_duration(step.pause)} and {step.min_requests} requests" if step.pause else ""
        )
        yield f"  {step.revision:12} {split_in_words(step)}{limits}"
    if plan.keep_for is not None:
        yield f"  {'on PROMOTE':12} {plan.describe(Effect.SWITCH, plan.candidates[0])}"
    yield ""
    yield from _traffic(plan)
    yield ""
    yield "judges"
    for metric in plan.claims.metrics:
        bound = "gain above" if metric.role == "objective" else "regression below"
        said = next(m for m in spec.metrics if m.name == metric.name)
        unit = "pairs" if metric.paired else "requests an arm"
        horizon_of = f"on at most {metric.max_observations:,} {unit}"
        yield f"  {metric.name:12} {metric.role}: {bound} {said.margin}, {horizon_of}"
    yield ""
    yield from need_lines(plan.claims, needs)
    if spec.promotion is not None:
        to = spec.promotion.chosen
        yield ""
        yield "registers, on a promotion"
        yield f"  the candidate as a version of {to.model}, alias {to.alias}, in {to.place}"
    if spec.schedule is not None:
        yield ""
        yield "may go forward"
        yield f"  now {Calendar(spec.schedule).standing(time.time())}"
    yield ""
    yield "defaults filled in"
    for default in filled_in(plan.experiment):
        yield f"  {default.path}: {default.value}"


def _traffic(plan: Plan) -> Iterator[str]:
    traffic = plan.experiment.spec.traffic
    pairs, smaller = horizon(plan.experiment, plan.steps)
    longest = format_duration(traffic.bounds.max_duration)
    if traffic.live is not None:
        yield "watches"
        yield f"  users' requests by {traffic.live.source} at {traffic.live.collector or traffic.live.server}"
        yield f"  {format_rate(traffic.live.expected_rate)} are expected, for at most {longest} of traffic"
        yield f"  so {smaller:,} requests to the arm that gets fewer"
        return
    yield "sends"
    yield from _arrivals(plan)
    if plan.experiment.generate is not None:
        rows = plan.experiment.generate.rows
        yield f"  {rows:,} different requests, made up from the models' metadata: there are no data"
    yield f"  at most {pairs:,} replayed pairs, and {smaller:,} requests to the arm that gets fewer"


def _arrivals(plan: Plan) -> Iterator[str]:
    load, sending = plan.experiment.spec.traffic.driven, sending_of(plan.experiment)
    kinds = load.arrivals
    if load.locustfile is not None:
        longest = format_duration(sending.seconds)
        yield f"  what {load.users:,} users of {load.locustfile} ask, for at most {longest}"
        yield f"  {format_rate(load.arrival_rate)} of them are expected"
        return
    if kinds is None:
        yield f"  {format_rate(load.arrival_rate)} for at most {format_duration(load.max_duration)}"
        return
    if kinds.trace is not None:
        as_fast = "as it was" if kinds.trace.speed == 1 else f"{kinds.trace.speed:g} times as fast as it was"
        yield f"  the arrivals of {kinds.trace.file}, {as_fast}"
    for stage in arrivals_of(plan.experiment).stages:
        if stage.end_rate is None:
            yield f"  {format_rate(stage.rate)} for {format_duration(stage.seconds)}"
        else:
            yield f"  rising to {format_rate(stage.end_rate)} in {format_duration(stage.seconds)}"
    lasts = format_duration(max(1.0, float(round(sending.seconds))))
    yield f"  {round(sending.arrivals):,} arrivals in {lasts}; a promotion waits for nearly all of them"


def _document(plan: Plan, needs: list[Needs]) -> dict[str, Any]:
    pairs, smaller = horizon(plan.experiment, plan.steps)
    return {
        "experiment": plan.experiment.model_dump(mode="json", by_alias=True),
        "steps": [
            {
                "revision": step.revision,
                "weights": dict(step.weights),
                "shadow": asdict(step.shadow) if step.shadow else None,
            }
            for step in plan.steps
        ],
        "keepFor": plan.keep_for,
        "horizon": {"pairs": pairs, "requestsOfSmallerArm": smaller},
        **_sending(plan.experiment),
        **_stored(plan.stored),
        **_schedule(plan.experiment),
        "metrics": {
            m.name: {"maxObservations": m.max_observations, "paired": m.paired} for m in plan.claims.metrics
        },
        "needs": [need_document(need) for need in needs],
        "defaults": {default.path: default.value for default in filled_in(plan.experiment)},
    }


def _stored(stored: Stored | None) -> dict[str, Any]:
    if stored is None:
        return {}
    fields = ("run", "arm", "seconds", "paired", "unpaired", "incomparable", "weakness")
    return {"baselineRun": {field: getattr(stored, field) for field in fields}}


def _sending(experiment: Experiment) -> dict[str, Any]:
    if experiment.spec.traffic.live is not None:
        return {}
    sending = sending_of(experiment)
    return {"load": {"arrivals": round(sending.arrivals), "seconds": sending.seconds}}


def _schedule(experiment: Experiment) -> dict[str, Any]:
    """Whether it may go forward now, and until when in seconds since the epoch; null: not foreseen."""
    if experiment.spec.schedule is None:
        return {}
    calendar, now = Calendar(experiment.spec.schedule), time.time()
    is_open = calendar.is_open(now)
    changes = calendar.closes(now) if is_open else calendar.opens(now)
    return {"schedule": {"open": is_open, "until": changes, "words": calendar.standing(now)}}
