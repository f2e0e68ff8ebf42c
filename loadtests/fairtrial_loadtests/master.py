"""The process of a load that several send: `python -m fairtrial_loadtests.master --workers N PLAN.json`.

Starts the workers on this machine or, with `--bind`, waits for them to come from others, and makes of what
they record what `fairtrial_loadtests.worker` alone would: the same parts, `load.json`, incidents and exit
codes.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import secrets
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from fairtrial_loadtests.children import Children
from fairtrial_loadtests.crew import TOKEN, Address, Crew, read_address
from fairtrial_loadtests.ending import NOT_WRITTEN, exit_code_of
from fairtrial_loadtests.errors import BadLoadError, ExitCode, LoadError
from fairtrial_loadtests.incidents import beside, tell
from fairtrial_loadtests.plan import LoadPlan, read_plan

_HERE = Address("127.0.0.1", 0)


def main(arguments: Sequence[str]) -> int:
    """Run the plan in the file; returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the controller
    early: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: early.append(number))
    parser = argparse.ArgumentParser("python -m fairtrial_loadtests.master", description=__doc__)
    parser.add_argument("plan", type=Path)
    parser.add_argument("--workers", type=int, required=True, help="How many send.")
    parser.add_argument("--bind", metavar="HOST:PORT", help="Wait there for workers from elsewhere.")
    options = parser.parse_args(arguments)

    def work() -> None:
        crew = Crew(options.workers, read_address(options.bind) if options.bind else None)
        crew.check()
        _run(options.plan, crew, stopped_early=early)

    return exit_code_of(work, NOT_WRITTEN)


def _run(plan_file: Path, crew: Crew, *, stopped_early: list[int]) -> None:
    parent = os.getppid()
    plan = read_plan(plan_file)
    if plan.users is not None:
        raise BadLoadError("The users of a locustfile are run by one process: leave the workers out.")
    from fairtrial_loadtests.generated import rows_of

    rows = rows_of(plan).rows  # whoever has misspelt a column need not wait for anything else
    from gevent import monkey

    monkey.patch_all()  # as Locust does, but before processes are started that gevent is to wait for
    from fairtrial_loadtests.control import leave_if_orphaned

    token = os.environ.get(TOKEN, "") if crew.bind else secrets.token_hex(16)
    children = None if crew.bind else Children(crew.workers, token, plan_file.parent)
    try:
        _lead(
            plan,
            rows,
            crew,
            children,
            token=token,
            tell=lambda sentence: tell(beside(plan_file), sentence),
            alive=lambda: leave_if_orphaned(parent),
            stopped_early=stopped_early,
        )
    finally:
        if children is not None:
            children.close()


def _lead(
    plan: LoadPlan,
    rows: int,
    crew: Crew,
    children: Children | None,
    *,
    token: str,
    tell: Callable[[str], None],
    alive: Callable[[], None],
    stopped_early: list[int],
) -> None:
    from fairtrial_loadtests.light_locust import defer_web_page

    defer_web_page()
    from fairtrial_loadtests.locust_runner import statistics  # isort: skip  (patches first)
    from locust.env import Environment

    from fairtrial_loadtests.control import obey_controller
    from fairtrial_loadtests.leading import Leader
    from fairtrial_loadtests.listening import listen
    from fairtrial_loadtests.part_writer import PartWriter
    from fairtrial_loadtests.parts import replace_file

    logging.getLogger("locust").setLevel(logging.CRITICAL)  # what went wrong is said in one sentence
    plan.output.mkdir(parents=True, exist_ok=True)
    environment = Environment()
    runner, address = listen(environment, crew.bind or _HERE)
    if children is not None:
        children.come_to(address)
    else:
        here = replace(address, host=platform.node()) if address.is_every else address
        tell(f"the load waits for {crew.in_words}: `fairtrial load-worker --master {here}`")
    writer = PartWriter(plan.output, plan.first_part, tell)
    leader = Leader(
        plan,
        rows,
        runner,
        wanted=crew.workers,
        token=token,
        writer=writer,
        children=children,
        tell=tell,
        alive=alive,
    )
    obey_controller(leader.stop)
    if stopped_early:
        leader.stop("SIGTERM")
    before = time.process_time()
    try:
        leader.run()
    except LoadError as error:
        if error.exit_code is not ExitCode.FAILED:  # a load that failed is begun again, with the same workers
            leader.dismiss()
        raise
    else:
        leader.dismiss()
    finally:
        runner.quit()
    summary = writer.summary(
        reason=leader.reason, first_arrival=plan.first_arrival, next_arrival=leader.next_arrival
    ) | {
        "startedAt": leader.started_at,
        "cpuSeconds": leader.cpu + time.process_time() - before,
        "workers": crew.workers,
        "sessions": leader.sessions,
        "locust": statistics(environment),
    }
    replace_file(plan.output / "load.json", json.dumps(summary, indent=2).encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
