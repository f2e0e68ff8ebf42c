"""The load process: `python -m fairtrial_loadtests.worker PLAN.json`.

Runs one load plan to its end, writes its observations as parts and, last of all, `load.json`. The exit
codes are `ExitCode`; what went wrong is one sentence on stderr.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fairtrial_loadtests.errors import BadLoadError, ExitCode, LoadError
from fairtrial_loadtests.plan import LoadPlan

if TYPE_CHECKING:
    from fairtrial_loadtests.load import Load
    from fairtrial_loadtests.recorder import Recorder

# Seconds that a thread may keep the interpreter while others want it: the thread that writes the parts
# would otherwise hold up answers for 5 ms at a time, and their latencies would say so.
_SWITCH_INTERVAL = 0.0002


def main(arguments: Sequence[str]) -> int:
    """Run the plan in the file that is the one argument; returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the controller
    early: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: early.append(number))
    try:
        if len(arguments) != 1:
            raise BadLoadError("usage: python -m fairtrial_loadtests.worker PLAN.json")
        _run(_read_plan(Path(arguments[0])), stopped_early=early)
    except LoadError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"The load's observations cannot be written: {error}.", file=sys.stderr)
        return ExitCode.FAILED
    return ExitCode.DONE


def _read_plan(path: Path) -> LoadPlan:
    try:
        plan = LoadPlan.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadLoadError(f"The load plan {path} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadLoadError(f"{path} is not a load plan: {error}.") from error
    plan.check()
    return plan


def _run(plan: LoadPlan, *, stopped_early: list[int]) -> None:
    parent = os.getppid()
    from fairtrial_loadtests.dataset import Dataset

    # Locust takes a second to import, and whoever has misspelt a column need not wait for it.
    data = Dataset(plan.requests)

    from fairtrial_loadtests.light_locust import defer_web_page

    defer_web_page()
    from fairtrial_loadtests.locust_runner import run_in_locust  # isort: skip  (patches first)
    from gevent import get_hub

    from fairtrial_loadtests.control import leave_if_orphaned, obey_controller
    from fairtrial_loadtests.parts import replace_file
    from fairtrial_loadtests.preparation import prepare
    from fairtrial_loadtests.recorder import Recorder

    gc.freeze()  # what is imported stays: not to be gone through at every collection
    sys.setswitchinterval(_SWITCH_INTERVAL)

    plan.output.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(plan.output, plan.first_part)
    load = prepare(plan, data, recorder)
    obey_controller(load.stop)
    if stopped_early:
        load.stop("SIGTERM")

    def write_meanwhile() -> None:
        threads = get_hub().threadpool
        while not load.done.wait(plan.flush_every):
            leave_if_orphaned(parent)
            threads.apply(recorder.write, (recorder.due(load.watermark),))
        threads.apply(recorder.write, (recorder.remaining(),))

    before = time.process_time()
    statistics = run_in_locust(load, write_meanwhile)
    summary = _summary(plan, load, recorder) | {
        "cpuSeconds": time.process_time() - before,
        "locust": statistics,
    }
    replace_file(plan.output / "load.json", json.dumps(summary, indent=2).encode())
    if load.bug is not None:
        raise LoadError(f"The load broke off, as an answer could not be recorded: {load.bug!r}.")


def _summary(plan: LoadPlan, load: Load, recorder: Recorder) -> dict[str, object]:
    """What `load.json` says: times in seconds, arrivals by number."""
    return {
        "reason": load.reason,
        "firstArrival": plan.first_arrival,
        "nextArrival": load.next_arrival,
        "arrivals": load.next_arrival - plan.first_arrival,
        "requests": load.requests,
        "sent": load.requests - load.dropped,
        "dropped": load.dropped,
        "failures": load.failures,
        "lagP50": recorder.lags.quantile(0.5),
        "lagP99": recorder.lags.quantile(0.99),
        "startedAt": recorder.epoch,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
