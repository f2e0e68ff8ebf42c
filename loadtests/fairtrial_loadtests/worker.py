"""The load process: `python -m fairtrial_loadtests.worker PLAN.json`.

Runs one load plan to its end, writes its observations as parts and, last of all, `load.json`. The exit
codes are `ExitCode`; what went wrong is one sentence on stderr, what is to be told meanwhile a line of
`load-incidents.txt` beside the plan.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from fairtrial_loadtests.ending import NOT_WRITTEN, exit_code_of
from fairtrial_loadtests.errors import BadLoadError, LoadError
from fairtrial_loadtests.incidents import beside, tell
from fairtrial_loadtests.plan import LoadPlan, read_plan


def main(arguments: Sequence[str]) -> int:
    """Run the plan in the file that is the one argument; returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the controller
    early: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: early.append(number))

    def work() -> None:
        if len(arguments) != 1:
            raise BadLoadError("usage: python -m fairtrial_loadtests.worker PLAN.json")
        plan_file = Path(arguments[0])
        _run(read_plan(plan_file), beside(plan_file), stopped_early=early)

    return exit_code_of(work, NOT_WRITTEN)


def _run(plan: LoadPlan, incidents: Path, *, stopped_early: list[int]) -> None:
    parent = os.getppid()
    from fairtrial_loadtests.generated import rows_of

    # Locust takes a second to import, and whoever has misspelt a column need not wait for it.
    data = rows_of(plan) if plan.users is None else None

    from fairtrial_loadtests.light_locust import defer_web_page

    defer_web_page()
    from fairtrial_loadtests.locust_runner import run_in_locust  # isort: skip  (patches first)
    from gevent import get_hub

    from fairtrial_loadtests.closed_loop import users_of
    from fairtrial_loadtests.control import leave_if_orphaned, obey_controller
    from fairtrial_loadtests.load import Load
    from fairtrial_loadtests.part_writer import PartWriter
    from fairtrial_loadtests.parts import replace_file
    from fairtrial_loadtests.preparation import prepare
    from fairtrial_loadtests.punctuality import be_punctual
    from fairtrial_loadtests.recorder import Observation, Recorder, table_of

    be_punctual()
    plan.output.mkdir(parents=True, exist_ok=True)
    recorder = Recorder()
    writer = PartWriter(plan.output, plan.first_part, lambda sentence: tell(incidents, sentence))
    load = prepare(plan, data, recorder) if data is not None else users_of(plan, recorder)
    obey_controller(load.stop)
    if stopped_early:
        load.stop("SIGTERM")

    def write(observations: list[Observation]) -> None:
        writer.write(table_of(observations), recorder.epoch)

    def write_meanwhile() -> None:
        threads = get_hub().threadpool
        while not load.done.wait(plan.flush_every):
            leave_if_orphaned(parent)
            threads.apply(write, (recorder.due(load.watermark),))
        threads.apply(write, (recorder.remaining(),))

    before = time.process_time()
    open_loop = isinstance(load, Load)
    statistics = run_in_locust(load, write_meanwhile) if open_loop else load.run(write_meanwhile)
    summary = writer.summary(
        reason=load.reason, first_arrival=plan.first_arrival, next_arrival=load.next_arrival
    ) | {
        "startedAt": recorder.epoch,
        "cpuSeconds": time.process_time() - before,
        "locust": statistics,
    }
    replace_file(plan.output / "load.json", json.dumps(summary, indent=2).encode())
    if load.bug is not None:
        raise LoadError(f"The load broke off, as an answer could not be recorded: {load.bug!r}.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
