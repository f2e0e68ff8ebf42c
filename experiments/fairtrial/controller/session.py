"""A run as a whole: its folder, its lock, its backend, and the documents it leaves."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fairtrial_graphs.backends.interface import Backend, NotReady
from fairtrial_graphs.seldon.text import render
from fairtrial_loadtests.client import LoadProcess
from fairtrial_loadtests.crew import ALONE, Crew
from pyarrow import parquet

from fairtrial.atomic import write_text
from fairtrial.clock import Clock, SystemClock
from fairtrial.console.interface import Console
from fairtrial.controller.approval import ApprovalGate
from fairtrial.controller.asked import check_asked, check_resumed, stored_baseline
from fairtrial.controller.budget import bound_in, budget_of
from fairtrial.controller.effects import effect, is_done
from fairtrial.controller.holding import AllHolds
from fairtrial.controller.inputs import check_planned_from, check_sent_from, digest, digests_of
from fairtrial.controller.load_pods import check_load_pods, load_pods
from fairtrial.controller.placing import Cluster, check_fetchable, opened_backend, placed_in
from fairtrial.controller.reachable import check_reachable
from fairtrial.controller.recording import record
from fairtrial.controller.reference import what
from fairtrial.controller.retreat import retreating
from fairtrial.controller.run import Controller
from fairtrial.controller.windows import WindowGate
from fairtrial.errors import AbortedError, FairtrialError, UsageError
from fairtrial.experiment.elsewhere import at_addresses, directly
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.reading import parse
from fairtrial.followers.choose import followed
from fairtrial.history import history_of, notes_of_load
from fairtrial.journal.entries import Effect, Kind
from fairtrial.journal.folder import RunFolder, new_run
from fairtrial.journal.store import Journal
from fairtrial.judge.document import verdict_to_dict
from fairtrial.judge.verdict import Verdict
from fairtrial.notify.choose import check_notifiers
from fairtrial.planning.budget import bounded, check_budget, check_open
from fairtrial.planning.load import check_measured
from fairtrial.planning.models import Fetching, Models, models_named, models_of, recorded_in, silent
from fairtrial.planning.plan import Plan, plan_of
from fairtrial.planning.stored import Stored
from fairtrial.registry.choose import registry_of
from fairtrial.report.page import render_report
from fairtrial.versions import versions

#: Makes the view of a run once its name and longest duration are known.
ConsoleFactory = Callable[[Plan], Console]


@dataclass(frozen=True)
class Options:
    """What the user may say about a run that is not part of the experiment."""

    runs: Path | None = None  # where run folders go; beside the experiment file unless said
    keep_serving: bool = False  # go on serving the outcome until interrupted
    port: int | None = None  # of the split on this machine; a free one unless said
    cluster: Cluster | None = None  # where the arms run, if not on this machine
    take_over: bool = False  # on a cluster: take what others hold, when a run is resumed
    baseline_run: Path | None = None  # an earlier run, whose arm the baseline is; it is not deployed
    baseline_arm: str | None = None  # which; the one that came out of it unless said
    record: str | None = None  # load this arm alone, and judge nothing
    budget: float | None = None  # seconds that the whole run may take
    interrupt_returns: bool = True  # a signal while the old version is kept asks for it back
    against: Mapping[str, str] = field(default_factory=dict[str, str])  # by arm, where it runs already
    crew: Crew = ALONE  # who sends the load; observations and verdict are the same whoever does
    relative_to: Path | None = None  # where relative paths of the file start; its own folder unless said
    began: Callable[[RunFolder], None] = lambda _: None  # told of a new run's folder once there is one


def start(
    experiment: Path,
    options: Options,
    console: ConsoleFactory,
    clock: Clock | None = None,
    fetching: Fetching = silent,
) -> RunFolder:
    """Run an experiment file to its verdict and return the run's folder.

    fetching: told as models come in from elsewhere, before the console opens.

    Raises FairtrialError of every kind, and KeyboardInterrupt; the folder then says how far it came.
    """
    clock = clock or SystemClock()
    began = clock.now()
    try:
        text = experiment.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {experiment}: {error.strerror}") from error
    where = options.relative_to or experiment.parent
    at_hand = not options.against and options.baseline_run is None and options.record is None
    parsed = _parsed(text, str(experiment), where, options.against, check_files=at_hand)
    check_asked(parsed, options)
    if options.budget is not None:
        check_budget(directly(parsed) if options.baseline_run is not None else parsed, options.budget)
        check_open(parsed, options.budget, began)
        parsed = bounded(parsed, options.budget)
    found = stored_baseline(parsed, options, digest)
    stored, answers = found if found is not None else (None, None)
    if stored is not None:
        parsed = bounded(parsed, stored.seconds)
    plan = plan_of(parsed, Models(parsed.folder, fetching), stored, options.record)
    check_measured(parsed)
    check_notifiers(parsed)
    if options.cluster is not None:
        check_load_pods(options.cluster, options.crew, parsed)
        check_reachable(options.cluster, parsed)
        check_fetchable(plan)
        models = models_named(plan.deployment)
    else:
        models = models_of(plan.deployment, plan.models)
    folder = new_run(options.runs or experiment.parent / "runs", parsed.metadata.name, clock)
    options.began(folder)
    write_text(folder.experiment, text.decode())
    manifest = "# nothing was deployed\n" if plan.elsewhere else render(plan.at_step(0)[0])
    write_text(folder.manifest, manifest)
    if answers is not None:
        parquet.write_table(answers, folder.stored)
    with folder.locked(), _journal(Journal.create(folder.journal, clock)) as journal:
        journal.append(
            Kind.STARTED,
            {
                "experiment": experiment.name,
                "folder": str(where.absolute()),
                "name": parsed.metadata.name,
                **digests_of(parsed),
                "models": [model.as_json() for model in models],
                "steps": [{"revision": s.revision, "weights": dict(s.weights)} for s in plan.steps],
                "versions": versions(),
                **({"stored": stored.as_json()} if stored is not None else {}),
                **({"recorded": options.record} if options.record is not None else {}),
                **({"reference": what()} if stored is not None or options.record is not None else {}),
                **({"budget": options.budget} if options.budget is not None else {}),
                **({"against": dict(options.against)} if options.against else {}),
                **({"cluster": options.cluster.as_json()} if options.cluster else {}),
            },
        )
        if options.record is not None:
            _record(plan, folder, journal, options, console, clock)
        else:
            _run(plan, folder, journal, options, options.cluster, console, clock, began)
    return folder


def resume(
    folder: RunFolder,
    options: Options,
    console: ConsoleFactory,
    clock: Clock | None = None,
    fetching: Fetching = silent,
) -> RunFolder:
    """Bring a run that was cut off to its verdict. A run that has ended is left as it is."""
    clock = clock or SystemClock()
    with folder.locked(), _journal(Journal.open(folder.journal, clock)) as journal:
        plan = recorded_plan(folder, journal, fetching)
        if journal.last(Kind.ENDED) is not None and not options.keep_serving:
            with _followed(plan, folder, clock):  # what its end could not make known
                return folder
        undecided = journal.last(Kind.VERDICT) is None and journal.last(Kind.ABORT) is None
        if undecided and is_done(journal, Effect.ROLLBACK):
            raise UsageError(
                f"run {folder.id} could not go on, and its cluster was returned to the baseline; "
                f"start another with `fairtrial run`"
            )
        started = _started(folder, journal)
        cluster = placed_in(started, take_over=options.take_over)
        asked = replace(options, cluster=cluster, budget=started.get("budget"))
        check_resumed(plan, asked, sends=undecided)
        if asked.budget is not None and undecided:
            check_open(plan.experiment, asked.budget, clock.now())
        if undecided:
            check_sent_from(plan.experiment, started, folder.id)
        if cluster is None:
            models_of(plan.deployment, plan.models)
        else:
            check_load_pods(cluster, options.crew, plan.experiment)
        journal.append(Kind.RESUMED, {"versions": versions()})
        _run(plan, folder, journal, options, cluster, console, clock, clock.now())
    return folder


def recorded_plan(folder: RunFolder, journal: Journal, fetching: Fetching = silent) -> Plan:
    """The plan of a run, made again from what it recorded. Raises UsageError if its data are not the same.

    Its models must be the recorded ones when they are looked at; nothing is fetched before.
    """
    experiment, recorded = recorded_experiment(folder, journal)
    if "recorded" in recorded:
        raise UsageError(
            f"run {folder.id} records {recorded['recorded']} and judges nothing; record it again"
        )
    stored = Stored.read(recorded["stored"]) if "stored" in recorded else None
    if stored is not None:
        experiment = bounded(experiment, stored.seconds)
    check_planned_from(experiment, recorded, folder.id)
    plan = plan_of(experiment, Models(experiment.folder, fetching, recorded_in(recorded)), stored)
    bound = bound_in(journal)
    return bound.of(plan) if bound is not None else plan


def recorded_experiment(folder: RunFolder, journal: Journal) -> tuple[Experiment, dict[str, Any]]:
    """The experiment of a run as it was when it began, and what the journal says of its start."""
    started = _started(folder, journal)
    where = Path(started["folder"])
    text, source = folder.experiment.read_bytes(), str(folder.experiment)
    at_hand = not {"against", "stored", "recorded"} & started.keys()
    return _parsed(text, source, where, started.get("against", {}), check_files=at_hand), started


def _parsed(
    text: bytes, source: str, folder: Path, against: Mapping[str, str], *, check_files: bool
) -> Experiment:
    """The experiment, with its arms where they run already.

    check_files: whether all that it names must be here, and not just what is deployed.
    """
    experiment = parse(text, source=source, folder=folder, check_files=check_files)
    return at_addresses(experiment, against)


def _started(folder: RunFolder, journal: Journal) -> dict[str, Any]:
    started = journal.last(Kind.STARTED)
    if started is None:
        raise UsageError(f"run {folder.id} died before it began; start another with `fairtrial run`")
    return started.body


def _run(
    plan: Plan,
    folder: RunFolder,
    journal: Journal,
    options: Options,
    cluster: Cluster | None,
    new_console: ConsoleFactory,
    clock: Clock,
    began: float,
) -> None:
    started, spec = _started(folder, journal), plan.experiment.spec
    budget = budget_of(started, began, clock)
    with (
        opened_backend(cluster, plan, folder, options.port, started.get("budget")) as backend,
        load_pods(cluster, options.crew, plan.experiment, folder) as start_pods,
        new_console(plan) as console,
        _followed(plan, folder, clock),
    ):
        controller = Controller(
            plan,
            folder,
            journal,
            backend,
            lambda wanted: LoadProcess(wanted, folder.backend, options.crew),
            console,
            clock,
            registry_of(plan.experiment),
            AllHolds(
                ApprovalGate(spec.approval, journal, clock.now, f"fairtrial approve {folder.id}"),
                WindowGate(spec.schedule, journal, clock.now),
            ),
            budget=budget,
            interrupt_returns=options.interrupt_returns,
            begins=start_pods,
        )
        with _closing(backend, journal, console):
            with retreating(controller, plan.baseline, backend, journal, console):
                verdict = controller.run()
            console.phase("writing the report")
            _leave_documents(verdict, controller.finals, folder, journal)
            console.final(verdict, folder.path)
            if options.keep_serving:
                _serve_until_interrupted(controller, console)


def _record(
    plan: Plan,
    folder: RunFolder,
    journal: Journal,
    options: Options,
    new_console: ConsoleFactory,
    clock: Clock,
) -> None:
    with (
        opened_backend(None, plan, folder, options.port) as backend,
        new_console(plan) as console,
        _closing(backend, journal, console),
    ):
        record(plan, folder, journal, backend, options.crew, console, clock)


@contextmanager
def _closing(backend: Backend, journal: Journal, console: Console) -> Generator[None]:
    """Whatever happens: journal how the run went, and end all that was started."""
    try:
        yield
    except AbortedError:
        _close(backend, journal)
        journal.append(Kind.ENDED, {"aborted": True})
        raise
    except KeyboardInterrupt:
        console.phase("interrupted: shutting down; `fairtrial resume` takes the run up again")
        _close(backend, journal)
        journal.append(Kind.INTERRUPTED)
        raise
    except FairtrialError as error:
        with contextlib.suppress(NotReady):
            backend.release()
        backend.close()
        journal.append(Kind.FAILED, {"message": str(error)})
        raise
    except BaseException:
        backend.close()
        raise
    console.phase("shutting down")
    _close(backend, journal)
    journal.append(Kind.ENDED)


def _close(backend: Backend, journal: Journal) -> None:
    with effect(journal, Effect.CLOSE):
        backend.close()


def _leave_documents(
    verdict: Verdict, finals: tuple[Verdict, ...], folder: RunFolder, journal: Journal
) -> None:
    document: dict[str, Any] = {"run": folder.id} | verdict_to_dict(verdict, versions())
    if len(finals) > 1:
        document["candidates"] = [verdict_to_dict(final) for final in finals]
    _add_digests(document, journal)
    document["notes"] += notes_of_load(folder)
    write_text(folder.verdict, json.dumps(document, indent=2, allow_nan=False) + "\n")
    write_text(folder.report, render_report(history_of(folder, journal)))


def _add_digests(document: dict[str, Any], journal: Journal) -> None:
    """Say of each arm which files it served. An arm that is a graph of several models has no one digest."""
    started = journal.last(Kind.STARTED)
    found: dict[str, list[str]] = {}
    for model in started.body.get("models", ()) if started else ():
        found.setdefault(model["arm"], []).append(model["digest"])
    for each in (document, *document.get("candidates", ())):
        for arm in each["arms"]:
            digests = found.get(arm["name"], [])
            arm["digest"] = digests[0] if len(digests) == 1 else None


def _serve_until_interrupted(controller: Controller, console: Console) -> None:
    """An interrupt is how this ends: the run has its verdict, and nothing is cut off."""
    url = controller.serve_outcome().url
    console.phase(f"serving at {url} until interrupted (Ctrl-C)")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            controller.watch_backend()
            threading.Event().wait(0.5)


def _followed(plan: Plan, folder: RunFolder, clock: Clock) -> AbstractContextManager[None]:
    return followed(plan.experiment, folder, lambda: Journal.open(folder.journal, clock))


@contextmanager
def _journal(journal: Journal) -> Generator[Journal]:
    try:
        yield journal
    finally:
        journal.close()
