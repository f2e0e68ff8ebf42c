"""A load worker: `python -m fairtrial_loadtests.member --master HOST:PORT`.

Sends the share of a load that the master plans for it, until the master says that it is over. The exit
codes are `ExitCode`; what went wrong is one sentence on stderr. Its token is in the environment.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from collections.abc import Sequence

from fairtrial_loadtests.crew import TOKEN, Address, read_address
from fairtrial_loadtests.ending import exit_code_of
from fairtrial_loadtests.errors import ExitCode, LoadError, UnreachableError


def main(arguments: Sequence[str]) -> int:
    """Serve one master; returns the exit code."""
    parser = argparse.ArgumentParser("python -m fairtrial_loadtests.member", description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--master", metavar="HOST:PORT", help="Where the master listens.")
    where.add_argument("--child", action="store_true", help="It comes on standard input.")
    parser.add_argument("--name", default=platform.node(), help="What the master calls this worker.")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN if options.child else signal.SIG_DFL)

    def work() -> ExitCode:
        return _serve(read_address(options.master) if options.master else None, options.name)

    return exit_code_of(work, "The load worker cannot go on")


def _serve(given: Address | None, name: str) -> ExitCode:
    """Serve the master at the given address or, as a child, at the one that its parent writes."""
    parent = os.getppid()
    child = given is None
    from fairtrial_loadtests.light_locust import defer_web_page

    defer_web_page()
    from locust.env import Environment  # isort: skip  (patches first)
    import gevent
    from gevent.event import Event

    from fairtrial_loadtests.control import leave_if_orphaned, obey_controller
    from fairtrial_loadtests.membership import Member
    from fairtrial_loadtests.punctuality import be_punctual

    be_punctual()
    leaving = Event()
    master = given or read_address(sys.stdin.readline().strip())
    if child:
        obey_controller(lambda _: leaving.set())
    environment = Environment()
    try:
        # Five minutes of asking: whichever is started first waits for the other.
        runner = environment.create_worker_runner(master.location, master.port)
    except ConnectionError:
        raise UnreachableError(
            f"No master answers at {master}: check the address, and that `fairtrial run --bind` goes on."
        ) from None
    member = Member(
        environment,
        runner,
        name=name,
        token=os.environ.get(TOKEN, ""),
        leaving=leaving,
        alive=(lambda: leave_if_orphaned(parent)) if child else (lambda: None),
    )
    if not child:  # and before it has found its master, a signal just ends it
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, leaving.set)
    code = member.run()
    if code is ExitCode.UNREACHABLE:
        raise UnreachableError(f"The master at {master} has not been heard of for a minute.")
    if code is ExitCode.FAILED:
        raise LoadError("The load worker was told to end before its load did.")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
