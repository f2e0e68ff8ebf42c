"""The load plan: all that the load process is told, as one JSON document."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from fairtrial_loadtests.errors import BadLoadError


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
    model: (
        str  # name in the path; the proxy routes whatever the name. "" for none, as Seldon's executor wants
    )
    share: float  # fraction of arrivals sent once through the split; the others are pairs
    arm_header: str = "x-fairtrial-arm"
    segment_header: str = "x-fairtrial-revision"


@dataclass(frozen=True)
class Stage:
    """A part of a load, in which the rate goes evenly from `rate` to `end_rate`; unsaid, it stays."""

    seconds: float
    rate: float  # arrivals a second
    end_rate: float | None = None


@dataclass(frozen=True)
class Trace:
    """Recorded moments to send at: a column of a .parquet, .csv or .jsonl file, or a .log's times."""

    file: Path
    column: str = "time"
    speed: float = 1.0  # times as fast as it was


@dataclass(frozen=True)
class Arrivals:
    """At `rate`, unless stages say how it changes, or a trace has every moment."""

    rate: float  # arrivals a second (a pair is one arrival)
    process: Literal["poisson", "constant"] = "poisson"
    max_duration: float = 120.0  # seconds of the whole load, those before `first_arrival` included
    stages: tuple[Stage, ...] = ()
    trace: Trace | None = None

    def check(self) -> None:
        """Refuse what no load could be: raises BadLoadError."""
        if not self.rate > 0 or not self.max_duration > 0:
            raise BadLoadError("The arrival rate and the longest duration of a load must both be above 0.")
        for stage in self.stages:
            ends = stage.rate if stage.end_rate is None else stage.end_rate
            if not (stage.seconds > 0 and min(stage.rate, ends) >= 0 and stage.rate + ends > 0):
                raise BadLoadError("A stage of a load must last, and have a rate above 0.")
        if self.trace is not None and not self.trace.speed > 0:
            raise BadLoadError("The speed at which a trace is replayed must be above 0.")


@dataclass(frozen=True)
class Generate:
    """Rows that are made up from what the models say of their inputs."""

    rows: int = 1000
    size: int | None = None  # what stands for a dimension that a model leaves open, the first excepted


@dataclass(frozen=True)
class Requests:
    """Where the rows come from. Columns other than `target` and `exclude` are the features."""

    data: Path | None  # .parquet, .csv or .jsonl; None: they are generated
    target: str | None = None
    unit: str | None = None  # column that names the unit of randomisation, sent as `sticky` says
    exclude: tuple[str, ...] = ()
    generate: Generate | None = None


@dataclass(frozen=True)
class Users:
    """A team's own Locust users, who send what they like. A closed loop: they wait for answers."""

    locustfile: Path
    count: int = 10  # at once; a LoadTestShape in the file says otherwise


@dataclass(frozen=True)
class UnitIn:
    """Where a request says its unit of randomisation: in a header, a cookie or a query parameter."""

    kind: Literal["header", "cookie", "key"]
    name: str


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
    max_in_flight: int = 512  # at one address; further requests to it are dropped, and counted as failures
    flush_every: float = 0.5  # seconds between parts
    sticky: UnitIn | None = None
    protocol: Literal["rest", "grpc"] = "rest"  # of all addresses
    users: Users | None = None  # instead of requests at `arrivals`, of which the longest duration then holds
    loaded: float = 0.0  # seconds of that duration which users have had before `first_arrival`
    headers: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse what no load could be: raises BadLoadError."""
        self.arrivals.check()
        if not self.timeout > 0 or not self.flush_every > 0 or self.max_in_flight < 1 or self.seed < 0:
            raise BadLoadError(
                "A load needs a timeout and a flush interval above 0, at least 1 request in flight, "
                "and a seed that is not negative."
            )
        if [self.requests.data, self.requests.generate, self.users].count(None) != 2:
            raise BadLoadError("A load has data, generates its requests or has users: say one of the three.")
        if not self.targets:
            raise BadLoadError("A load needs at least one arm to send to.")
        if self.split and not 0 <= self.split.share <= 1:
            raise BadLoadError(
                f"The share of arrivals that go through the split must be 0 to 1, not {self.split.share:g}."
            )
        for url in [*(target.url for target in self.targets), *([self.split.url] if self.split else [])]:
            if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
                raise BadLoadError(f"{url!r} is not an address to load: give an http or https URL.")

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), default=str, indent=2)

    @classmethod
    def from_json(cls, text: str) -> LoadPlan:
        raw: dict[str, Any] = json.loads(text)
        raw["targets"] = tuple(Target(**t) for t in raw["targets"])
        raw["split"] = Split(**raw["split"]) if raw["split"] else None
        raw["arrivals"] = _arrivals(raw["arrivals"])
        raw["requests"] = _requests(raw["requests"])
        raw["sticky"] = UnitIn(**raw["sticky"]) if raw["sticky"] else None
        users = raw.get("users")
        raw["users"] = Users(Path(users["locustfile"]), users["count"]) if users else None
        raw["output"] = Path(raw["output"])
        return cls(**raw)


def _arrivals(raw: dict[str, Any]) -> Arrivals:
    stages = tuple(Stage(**stage) for stage in raw.pop("stages", ()))
    trace = raw.pop("trace", None)
    if trace is not None:
        trace = Trace(file=Path(trace.pop("file")), **trace)
    return Arrivals(**raw, stages=stages, trace=trace)


def _requests(raw: dict[str, Any]) -> Requests:
    data, generate = raw.pop("data"), raw.pop("generate", None)
    return Requests(
        data=Path(data) if data is not None else None,
        exclude=tuple(raw.pop("exclude")),
        generate=Generate(**generate) if generate is not None else None,
        **raw,
    )


def read_plan(path: Path) -> LoadPlan:
    """The plan in a file, checked. Raises BadLoadError."""
    try:
        plan = LoadPlan.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadLoadError(f"The load plan {path} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadLoadError(f"{path} is not a load plan: {error}.") from error
    plan.check()
    return plan
