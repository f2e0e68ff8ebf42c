"""One arm loaded alone, to the end, and judged by nobody: a baseline for later runs."""

from __future__ import annotations

from fairtrial_graphs.backends.interface import Backend, NotReady, Unsupported
from fairtrial_loadtests.client import LoadProcess
from fairtrial_loadtests.crew import Crew
from fairtrial_servers.errors import ServerError

from fairtrial.clock import Clock
from fairtrial.console.interface import Console
from fairtrial.controller.effects import effect
from fairtrial.controller.load_session import LoadSession
from fairtrial.controller.observed import note_timing
from fairtrial.controller.reference import timed
from fairtrial.errors import NotReadyError
from fairtrial.journal.entries import Effect, Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.interface import RunJournal
from fairtrial.planning.load import load_plan
from fairtrial.planning.plan import Plan


def record(
    plan: Plan,
    folder: RunFolder,
    journal: RunJournal,
    backend: Backend,
    crew: Crew,
    console: Console,
    clock: Clock,
) -> None:
    """Deploy the plan's one arm, send it the whole load, and time the reference at every part that comes.

    Raises NotReadyError, UsageError, and what a signal raises.
    """
    arm = plan.alone
    assert arm is not None, "one arm is recorded"
    console.phase(f"starting {arm}, alone")
    with effect(journal, Effect.DEPLOY, outcome=f"{arm} was deployed alone"):
        try:
            serving = backend.apply(*plan.at_step(0), console.phase)
        except NotReady as error:
            raise NotReadyError(str(error), arm=error.predictor) from error
        except (Unsupported, ServerError) as error:
            raise NotReadyError(str(error)) from error

    def started() -> LoadProcess:
        load = LoadProcess(load_plan(plan.experiment, serving, folder, alone=arm), folder.backend, crew)
        with effect(journal, Effect.LOAD):
            load.start()
        return load

    def tell(message: str) -> None:
        journal.append(Kind.INCIDENT, {"message": message})
        console.phase(message)

    def watch() -> None:
        for incident in backend.incidents():
            tell(incident.message)

    session = LoadSession(started, clock, interrupt=watch, incident=tell)
    console.phase("sending requests, and judging nothing")
    requests = 0
    try:
        for part, table in enumerate(session.batches()):
            note_timing(journal, part, timed())
            requests += table.num_rows
    finally:
        with effect(journal, Effect.STOP_LOAD):
            session.stop()
    console.phase(f"{requests:,} requests to {arm} are recorded in {folder.path}")
