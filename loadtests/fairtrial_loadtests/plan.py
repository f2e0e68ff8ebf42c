"""The load plan: all that the load process is told, as one JSON document."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Target:
    """One arm at its own address."""

    arm: str
    url: str  # base URL of the V2 server, e.g. http://127.0.0.1:9001
    model: str  # V2 model name (the graph's node name)


@dataclass(frozen=True)
class Split:
    """The address that users call: traffic is divided there, and headers say who answered."""

    url: str
    model: str  # name in the path; the proxy routes whatever the name
    share: float  # fraction of arrivals sent once through the split; the others are pairs
    arm_header: str = "x-fairtrial-arm"
    segment_header: str = "x-fairtrial-revision"


@dataclass(frozen=True)
class Arrivals:
    rate: float  # arrivals a second (a pair is one arrival)
    process: Literal["poisson", "constant"] = "poisson"
    max_duration: float = 120.0  # seconds


@dataclass(frozen=True)
class Requests:
    """Where the rows come from. Columns other than `target` and `exclude` are the features."""

    data: Path  # .parquet, .csv or .jsonl
    target: str | None = None
    unit: str | None = None  # column that names the unit of randomisation, sent as the sticky header
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadPlan:
    """One bounded load. `first_arrival` continues a killed session where its observations end."""

    targets: tuple[Target, ...]
    split: Split | None
    arrivals: Arrivals
    requests: Requests
    output: Path  # folder for part-*.parquet
    seed: int
    first_arrival: int = 0
    first_part: int = 0
    timeout: float = 5.0  # seconds a request may take
    max_in_flight: int = 512  # further arrivals are dropped, and counted as failures
    flush_every: float = 0.5  # seconds between parts
    sticky_header: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), default=str, indent=2)

    @classmethod
    def from_json(cls, text: str) -> LoadPlan:
        raw: dict[str, Any] = json.loads(text)
        raw["targets"] = tuple(Target(**t) for t in raw["targets"])
        raw["split"] = Split(**raw["split"]) if raw["split"] else None
        raw["arrivals"] = Arrivals(**raw["arrivals"])
        requests = dict(raw["requests"])
        raw["requests"] = Requests(
            data=Path(requests.pop("data")), exclude=tuple(requests.pop("exclude")), **requests
        )
        raw["output"] = Path(raw["output"])
        return cls(**raw)
