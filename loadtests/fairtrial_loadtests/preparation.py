"""From a plan to a load that can run: asks each arm what it takes, and refuses what cannot work."""

from __future__ import annotations

import math
from dataclasses import replace

from fairtrial_loadtests.arrivals import WHOLE, Schedule, Share
from fairtrial_loadtests.connection import Connections
from fairtrial_loadtests.credentials import headers_for
from fairtrial_loadtests.dataset import Dataset
from fairtrial_loadtests.errors import BadLoadError
from fairtrial_loadtests.load import Destination, Load
from fairtrial_loadtests.payload import Encoder, encoder_for
from fairtrial_loadtests.plan import LoadPlan, Split
from fairtrial_loadtests.prepared import PreparedRequests
from fairtrial_loadtests.recorder import Recorder
from fairtrial_loadtests.scoring import Scorer
from fairtrial_loadtests.v2 import get, model_path, read_metadata


def schedule_of(plan: LoadPlan, rows: int, share: Share = WHOLE) -> Schedule:
    """The arrivals of a plan whose data have so many rows, or a share of them."""
    return Schedule(
        plan.arrivals,
        seed=plan.seed,
        rows=rows,
        arms=len(plan.targets),
        share=plan.split.share if plan.split else 0.0,
        of=share,
    )


def prepare(plan: LoadPlan, data: Dataset, recorder: Recorder, share: Share = WHOLE) -> Load:
    """Ask every arm for its metadata and make the load, or a share of it, ready to run.

    Raises UnreachableError if an address does not answer, BadLoadError if the data is not what a model takes.
    """
    let_in = {
        target.arm: replace(plan, headers=plan.headers | headers_for(target.arm)) for target in plan.targets
    }
    encoders = {
        target.arm: encoder_for(
            target.arm,
            read_metadata(
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
        schedule_of(plan, data.rows, share),
        first_arrival=plan.first_arrival,
        arms=[
            Destination(
                target.arm,
                *_address(let_in[target.arm], data, target.url, target.model, encoders[target.arm]),
            )
            for target in plan.targets
        ],
        split=_split(plan, data, split, encoders) if split else None,
        arms_by_model={target.model: target.arm for target in plan.targets},
        scorer=Scorer(data.targets),
        units=data.units,
        recorder=recorder,
        timeout=plan.timeout,
        max_in_flight=math.ceil(plan.max_in_flight / share.of),
    )


def _split(plan: LoadPlan, data: Dataset, split: Split, encoders: dict[str, Encoder]) -> Destination:
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
    get(
        "the split", split.url, model_path(split.url, split.model), headers=plan.headers, timeout=plan.timeout
    )
    return Destination(
        None,
        *_address(plan, data, split.url, split.model, encoders[common]),
        arm_header=split.arm_header,
        segment_header=split.segment_header,
    )


def _address(
    plan: LoadPlan, data: Dataset, url: str, model: str, encoder: Encoder
) -> tuple[PreparedRequests, Connections]:
    requests = PreparedRequests(
        url, model, encoder, headers=plan.headers, unit_in=plan.sticky, units=data.units
    )
    return requests, Connections(url, plan.timeout)
