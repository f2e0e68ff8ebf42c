"""What of a load must not be cut off: a run that never came to it would promote without it."""

from __future__ import annotations

from fairtrial.experiment.model import Experiment
from fairtrial.experiment.quantities import format_duration
from fairtrial.experiment.traffic import LoadTest
from fairtrial.planning.sending import sending_of


def too_short(experiment: Experiment, seconds: float, *, recorded: bool = False) -> str | None:
    """ "leaves 30s of load, and ...", if so much of the load cannot be judged, or is another load.

    recorded: the seconds are those from the first to the last observation of a run, and of a whole load that
    is a little less. Raises UsageError if a trace cannot be read.
    """
    load = experiment.spec.traffic.driven
    if seconds >= load.max_duration:
        return None
    left = format_duration(round(max(seconds, 0.0), 1))
    warm_up = experiment.spec.analysis.warm_up
    if warm_up != "auto" and warm_up >= seconds:
        return f"leaves {left} of load, of which the first {format_duration(warm_up)} are warm-up: say more"
    needed, what = _needed(load, experiment.spec.analysis.look_interval)
    slack = 0.0
    if recorded and needed:
        sending = sending_of(experiment)
        slack = sending.seconds - sending.cycle if sending.cycle else 0.0
    if seconds + slack < needed:
        return (
            f"leaves {left} of load, and {what} is at {format_duration(needed)}: say more, or a shorter load"
        )
    return None


def _needed(load: LoadTest, look: float) -> tuple[float, str]:
    """Seconds that a load which changes must last to be itself, and what comes then; 0 of any other."""
    arrivals = load.arrivals
    if arrivals is None:
        return 0.0, ""
    if arrivals.spike is not None:
        return arrivals.spike.at + arrivals.spike.lasts, "the end of the peak"
    if arrivals.stepped is not None:
        return sum(stage.lasts for stage in arrivals.stepped[:-1]) + look, "the first look at the last stage"
    return (arrivals.soak.ramp_up + look, "the first look after the ramp") if arrivals.soak else (0.0, "")
