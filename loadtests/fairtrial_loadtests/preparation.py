"""From a plan to a load that can run: asks each arm what it takes, and refuses what cannot work."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from fairtrial_loadtests.arrivals import WHOLE, Schedule, Share
from fairtrial_loadtests.connection import Connections
from fairtrial_loadtests.credentials import headers_for
from fairtrial_loadtests.errors import BadLoadError
from fairtrial_loadtests.generated import Rows, encoder_of
from fairtrial_loadtests.grpc_calls import PreparedCalls, knock, read_call, read_metadata_by_grpc
from fairtrial_loadtests.http2 import Calls
from fairtrial_loadtests.load import Caller, Destination, Load, Prepared
from fairtrial_loadtests.pace import Pace
from fairtrial_loadtests.payload import Encoder
from fairtrial_loadtests.plan import LoadPlan, Split
from fairtrial_loadtests.prepared import PreparedRequests
from fairtrial_loadtests.recorder import Recorder
from fairtrial_loadtests.scoring import Answer, Scorer, read_answer
from fairtrial_loadtests.v2 import get, model_path, read_metadata


def schedule_of(plan: LoadPlan, rows: int, share: Share = WHOLE, pace: Pace | None = None) -> Schedule:
    """The arrivals of a plan whose data have so many rows, or a share of them.

    `pace`: what was read of a trace that is a file elsewhere. Raises BadLoadError as `pace_of` does.
    """
    return Schedule(
        plan.arrivals,
        seed=plan.seed,
        rows=rows,
        arms=len(plan.targets),
        share=plan.split.share if plan.split else 0.0,
        of=share,
        pace=pace,
    )


def prepare(
    plan: LoadPlan, data: Rows, recorder: Recorder, share: Share = WHOLE, pace: Pace | None = None
) -> Load:
    """Ask every arm for its metadata and make the load, or a share of it, ready to run.

    Raises UnreachableError if an address does not answer, BadLoadError if the data is not what a model takes.
    """
    ask = read_metadata_by_grpc if plan.protocol == "grpc" else read_metadata
    let_in = {
        target.arm: replace(plan, headers=plan.headers | headers_for(target.arm)) for target in plan.targets
    }
    encoders = {
        target.arm: encoder_of(
            target.arm,
            ask(
                target.arm,
                target.url,
                target.model,
                headers=let_in[target.arm].headers,
                timeout=plan.timeout,
            ),
            data,
        )
        for target in plan.targets
    }
    split = plan.split if plan.split and plan.split.share > 0 else None
    return Load(
        schedule_of(plan, data.rows, share, pace),
        first_arrival=plan.first_arrival,
        arms=[
            Destination(
                target.arm,
                *_address(let_in[target.arm], data, target.url, target.model, encoders[target.arm]),
            )
            for target in plan.targets
        ],
        split=_split(replace(plan, headers=plan.headers | headers_for(None)), data, split, encoders)
        if split
        else None,
        arms_by_model={target.model: target.arm for target in plan.targets},
        scorer=Scorer(data.targets),
        units=data.units,
        recorder=recorder,
        timeout=plan.timeout,
        max_in_flight=math.ceil(plan.max_in_flight / share.of),
    )


def _split(plan: LoadPlan, data: Rows, split: Split, encoders: dict[str, Encoder]) -> Destination:
    misfits = {
        arm: [other for other, encoder in encoders.items() if not encoder.suits(sent)]
        for arm, sent in encoders.items()
    }
    common = min(misfits, key=lambda arm: len(misfits[arm]))
    if misfits[common]:
        first, other = (arm for arm in encoders if arm in (common, misfits[common][0]))
        raise BadLoadError(
            f"The models of arms {first!r} and {other!r} take different inputs, so no one request "
            "suits both through the split: give them the same inputs, or send no unpaired arrivals."
        )
    # Whatever it answers to this, somebody is there.
    if plan.protocol == "grpc":
        knock("The split", split.url, headers=plan.headers, timeout=plan.timeout)
    else:
        path = model_path(split.url, split.model)
        get("the split", split.url, path, headers=plan.headers, timeout=plan.timeout)
    return Destination(
        None,
        *_address(plan, data, split.url, split.model, encoders[common]),
        arm_header=split.arm_header,
        segment_header=split.segment_header,
    )


def _address(
    plan: LoadPlan, data: Rows, url: str, model: str, encoder: Encoder
) -> tuple[Prepared, Caller, Callable[[bytes], Answer | None]]:
    prepared = PreparedCalls if plan.protocol == "grpc" else PreparedRequests
    requests = prepared(url, model, encoder, headers=plan.headers, unit_in=plan.sticky, units=data.units)
    if plan.protocol == "grpc":
        return requests, Calls(url, plan.timeout), read_call
    return requests, Connections(url, plan.timeout), read_answer
