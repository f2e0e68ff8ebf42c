"""Whether what is asked of a run goes together: where its arms are, and which of them are deployed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fairtrial.controller.stored_runs import read_stored
from fairtrial.errors import UsageError
from fairtrial.evidence.arrow import Tabular
from fairtrial.experiment.model import Experiment
from fairtrial.planning.plan import Plan
from fairtrial.planning.stored import Stored, check_alone

if TYPE_CHECKING:
    from fairtrial.controller.session import Options


def check_asked(experiment: Experiment, options: Options) -> None:
    """Raises UsageError for options about arms that this run does not deploy, or does not judge."""
    if experiment.spec.elsewhere:
        _check_elsewhere(options)
    elif options.cluster is None:
        for arm in (experiment.spec.baseline, *experiment.spec.candidates):
            if arm.image is not None:
                raise UsageError(
                    f"{arm.name} is an image, which a cluster runs: add --backend kubernetes, or say modelUri"
                )
    if options.baseline_run is not None and options.record is not None:
        raise UsageError("--record judges nothing, and --baseline-run is judged by; say one of them")
    for option, said in (("--baseline-run", options.baseline_run), ("--record", options.record)):
        if said is not None and options.cluster is not None:
            raise UsageError(f"{option} is for this machine, whose speed it takes down; leave --backend out")
    if options.baseline_run is not None:
        _check_not_served(options)
    _check_ends(options)
    if options.record is not None:
        check_alone(experiment, "--record")
        _check_recorded(experiment, options.record, options)
    _check_sent(experiment, options)


def check_resumed(plan: Plan, options: Options, *, sends: bool) -> None:
    """Raises UsageError for what cannot be asked of a run that was begun.

    options: with the cluster and the budget that it has. sends: whether it still has load to send.
    """
    if plan.elsewhere:
        _check_elsewhere(options)
    if plan.stored is not None:
        _check_not_served(options)
    if sends:
        _check_ends(options)
        _check_sent(plan.experiment, options)


def _check_ends(options: Options) -> None:
    """Raises UsageError where a run with a budget would go on for as long as nobody interrupts it."""
    if options.budget is not None and options.keep_serving:
        raise UsageError("--budget: --keep-serving has no end; leave one of the two out")


def stored_baseline(
    experiment: Experiment, options: Options, digest: Callable[[Path], str]
) -> tuple[Stored, Tabular] | None:
    """The baseline of an earlier run, if the run has one. digest: of a file. Raises UsageError."""
    if options.baseline_run is None:
        if options.baseline_arm is not None:
            raise UsageError("--baseline-arm is of a --baseline-run; say which")
        return None
    check_alone(experiment, "--baseline-run")
    data = experiment.data
    if data is None:
        raise UsageError(
            "--baseline-run compares the same rows, and this load has no data; say requests.data"
        )
    return read_stored(options.baseline_run, options.baseline_arm, experiment, digest(data))


def _check_elsewhere(options: Options) -> None:
    said = {
        "--backend kubernetes": options.cluster is not None,
        "--port": options.port is not None,
        "--keep-serving": options.keep_serving,
    }
    for option in [option for option, is_said in said.items() if is_said]:
        raise UsageError(f"{option}: the arms run already, at addresses of their own; leave it out")


def _check_not_served(options: Options) -> None:
    if options.keep_serving:
        raise UsageError(
            "--keep-serving: against a stored baseline one arm is deployed alone and nothing is promoted; "
            "leave it out, and serve the model by `fairtrial serve`"
        )


def _check_sent(experiment: Experiment, options: Options) -> None:
    """What the load process would refuse only once the arms serve."""
    load = experiment.spec.traffic.load_test
    if load is None:
        return
    if load.locustfile is not None and not options.crew.is_alone:
        raise UsageError(
            "traffic.loadTest.locustfile: its users are run by one process; leave out --workers, "
            "--expect-workers and --load-image"
        )
    if load.protocol != "grpc":
        return
    sticky = experiment.spec.sticky
    if sticky is not None and sticky.key is not None:
        raise UsageError(
            "spec.sticky.key: a gRPC call has no query string; say who a caller is by sticky.header, "
            "or say `traffic.loadTest.protocol: rest`"
        )
    if options.cluster is not None or experiment.spec.elsewhere:
        raise UsageError(
            "traffic.loadTest.protocol: arms on a cluster or at addresses of their own take no gRPC calls "
            "from here, only those that this machine runs; say `protocol: rest`"
        )


def _check_recorded(experiment: Experiment, arm: str, options: Options) -> None:
    names = [each.name for each in (experiment.spec.baseline, *experiment.spec.candidates)]
    if arm not in names:
        raise UsageError(f"--record {arm}: no arm is called so; there are {', '.join(names)}")
    if options.keep_serving or options.budget is not None:
        raise UsageError("--record loads one arm to the end, and serves nothing afterwards")
    if experiment.data is None:
        raise UsageError(
            "--record: a later run compares the same rows, and these requests are made up; say requests.data"
        )
