"""What a calibration says, for people and as a document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairtrial.calibration.replays import Calibration, Rate
from fairtrial.judge.wording import count, percent, seconds


def sentences(result: Calibration) -> Iterator[str]:
    """The rate of false rollbacks first, then each claim's."""
    harm = result.harm
    yield (
        f"In {count(harm.replays)} A/A replays of {seconds(round(result.seconds))} of this setup "
        f"({count(result.requests)} requests), {harm.what} crossed its boundary in {count(harm.times)}: "
        f"{_figures(harm)}; {percent(harm.stated)} is what the file allows."
    )
    for rate in result.claims:
        yield f"  {rate.what:32} {_figures(rate)}, allowed {percent(rate.stated)}"
    yield ""
    if result.kept:
        yield "The stated rates are kept here."
    else:
        above = [rate.what for rate in (harm, *result.claims) if not rate.kept]
        yield (
            f"The stated rates are not kept here ({', '.join(above)}): stretches of time differ by more than "
            f"the requests within them do. A longer run or a quieter machine may help; until then read "
            f"verdicts on these metrics with care."
        )


def document(result: Calibration) -> dict[str, Any]:
    """The same as JSON-safe data."""
    return {
        "kept": result.kept,
        "requests": result.requests,
        "seconds": result.seconds,
        "falseRollback": _rate(result.harm),
        "claims": [_rate(rate) for rate in result.claims],
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return {
        "claim": rate.what,
        "times": rate.times,
        "replays": rate.replays,
        "rate": rate.rate,
        "interval": list(rate.interval),
        "stated": rate.stated,
        "kept": rate.kept,
    }


def _figures(rate: Rate) -> str:
    low, high = rate.interval
    return f"{percent(rate.rate)} (95% interval {percent(low)} to {percent(high)})"
