"""The A/A run: the baseline and a copy of it, under the experiment's own load, to its horizon."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from fairtrial_graphs.backends.interface import NotReady, Unsupported
from fairtrial_graphs.backends.local.backend import LocalBackend
from fairtrial_loadtests.client import LoadProcess
from fairtrial_servers.errors import ServerError
from fairtrial_servers.launch import model_server

from fairtrial.clock import Clock
from fairtrial.controller.load_session import LoadSession
from fairtrial.errors import NotReadyError, UsageError
from fairtrial.evidence.builder import EvidenceBuilder
from fairtrial.experiment.arms import Candidate
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.strategy import AbTest, Strategy
from fairtrial.journal.folder import RunFolder
from fairtrial.judge.evidence import Evidence
from fairtrial.judge.spec import JudgeSpec
from fairtrial.planning.load import load_plan
from fairtrial.planning.models import Fetching, Models, models_of, silent
from fairtrial.planning.plan import Plan, plan_of

#: Told what is being done, and how many seconds of the load are in.
Phase = Callable[[str], None]
Elapsed = Callable[[float], None]


def against_itself(experiment: Experiment) -> Experiment:
    """The experiment with a copy of its baseline for a candidate. Raises UsageError where there is none."""
    spec = experiment.spec
    if spec.elsewhere:
        raise UsageError("calibrate serves the baseline twice: say its modelUri rather than a url")
    if spec.deployment is not None:
        raise UsageError("calibrate copies the baseline: say its modelUri rather than spec.deployment")
    fields = {name: value for name, value in spec.baseline if name != "name"}
    copy = Candidate.model_construct(**fields, name=_name_of_copy(spec.baseline.name))
    strategy = spec.strategy
    if strategy.ab_test is not None and strategy.ab_test.weights is not None:  # they name the candidates
        share = 100 - strategy.ab_test.weights[spec.baseline.name]
        strategy = Strategy(ab_test=AbTest(weight=share))
    changed = spec.model_copy(update={"candidates": (copy,), "strategy": strategy})
    return experiment.model_copy(update={"spec": changed})


def observe(
    experiment: Experiment,
    spec: Callable[[JudgeSpec], JudgeSpec],
    clock: Clock,
    phase: Phase,
    elapsed: Elapsed,
    fetching: Fetching = silent,
) -> tuple[JudgeSpec, Evidence]:
    """Serve both copies, send the whole load, and sum up what came of it.

    spec: what is made of the experiment's claims before they are summed up by. Raises UsageError and
    NotReadyError as a run does; nothing is left running or on disk.
    """
    plan = plan_of(against_itself(experiment), Models(experiment.folder, fetching))
    models_of(plan.deployment, plan.models)
    claims = spec(plan.claims)
    with tempfile.TemporaryDirectory(prefix="fairtrial-calibrate-") as folder:
        return claims, _observed(plan, claims, Path(folder), clock, phase, elapsed)


def _observed(
    plan: Plan, claims: JudgeSpec, folder: Path, clock: Clock, phase: Phase, elapsed: Elapsed
) -> Evidence:
    builder = EvidenceBuilder(claims)
    with LocalBackend(folder / "servers", plan.models.launcher(model_server)) as backend:
        phase("starting the baseline twice, and the proxy")
        try:
            serving = backend.apply(*plan.at_step(0), phase)
        except (NotReady, Unsupported, ServerError) as error:
            raise NotReadyError(str(error)) from error
        run = RunFolder(folder)

        def watch() -> None:
            for each in backend.incidents():
                phase(each.message)

        def started() -> LoadProcess:
            load = LoadProcess(load_plan(plan.experiment, serving, run), run.backend)
            load.start()
            return load

        session = LoadSession(started, clock, interrupt=watch, incident=phase)
        phase("sending requests")
        try:
            for table in session.batches():
                builder.add(table)
                seen = builder.evidence
                if seen.origin is not None and seen.latest is not None:
                    elapsed(seen.latest - seen.origin)
        finally:
            session.stop()
    return builder.evidence


def _name_of_copy(name: str) -> str:
    """A name that is free: names are at most 63 characters long."""
    return f"{name[:57]}-again"
