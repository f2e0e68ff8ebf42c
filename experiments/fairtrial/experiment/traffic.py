"""Where requests come from."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from fairtrial.experiment.arrivals import Arrivals
from fairtrial.experiment.base import Mistake, Part, Whole, raise_mistakes
from fairtrial.experiment.live import MOST_LOOKS, Live, usual_interval
from fairtrial.experiment.quantities import format_duration
from fairtrial.experiment.quantity_types import Duration, Fraction, Rate

DEFAULT_DATA = "holdout.parquet"
DEFAULT_TARGET = "target"
DEFAULT_SPLIT_SHARE = 0.1
DEFAULT_RATE = 100.0


class Generate(Part):
    """Requests that are made up from the models' own V2 metadata."""

    rows: Whole = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        description="So many different ones. Default: 1000.",
        examples=[1000],
    )
    size: Whole | None = Field(
        default=None,
        ge=1,
        description="What stands for a dimension that a model leaves open (-1); the first of them all is 1. "
        "Default: none may be open.",
        examples=[128],
    )


class Requests(Part):
    """The rows that are sent. Columns other than target, unit and exclude are the features."""

    data: str = Field(
        default=DEFAULT_DATA,
        pattern=r"\.(parquet|csv|jsonl)$",
        description="Held-out data, .parquet, .csv or .jsonl; a path relative to this file. "
        "Default: holdout.parquet. Where `requests` is not said at all, that file is not there and no metric "
        "needs answers, requests are generated.",
        examples=["holdout.parquet"],
    )
    target: str = Field(
        default=DEFAULT_TARGET,
        min_length=1,
        description="The column with the right answers; it is not sent. "
        "Default: the column `target`, which may be absent when no metric needs answers.",
        examples=["quality"],
    )
    unit: str | None = Field(
        default=None,
        min_length=1,
        description="The column that names the user a row belongs to; it is sent as the sticky header, not "
        "as a feature. Default: none, each request stands for itself.",
        examples=["customer"],
    )
    exclude: tuple[str, ...] = Field(
        default=(), description="Further columns that are not sent. Default: none.", examples=[["id"]]
    )
    generate: Generate | None = Field(
        default=None,
        description="Make requests up, at random, from what the models say of their inputs; these have no "
        "right answers. Default: rows of data are sent.",
        examples=[{"rows": 1000}],
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        found: list[Mistake] = []
        if self.generate is not None:
            found += [
                ((name,), "generated requests come from no file; remove one of the two")
                for name in ("data", "target", "unit", "exclude")
                if getattr(self, name) != type(self).model_fields[name].default
            ]
        if self.unit == self.target:
            found.append((("unit",), f'"{self.unit}" is the target already'))
        found += [
            (("exclude", i), f'"{column}" is not sent anyway: it is the target or the unit')
            for i, column in enumerate(self.exclude)
            if column in (self.target, self.unit)
        ]
        raise_mistakes(found)
        return self


class LoadTest(Part):
    """A bounded load at a stated rate, whatever the servers' speed (open arrivals)."""

    arrival_rate: Rate = Field(
        default=DEFAULT_RATE,
        description="Arrivals a second, minute or hour; a replayed pair is one arrival. With a locustfile, "
        "what its users are expected to send; the horizon is planned by it. Default: 100/s.",
        examples=["200/s"],
    )
    arrivals: Arrivals | None = Field(
        default=None,
        description="How the rate changes with time, instead of `arrivalRate`. Default: it does not.",
        examples=[{"stepped": [{"rate": "50/s", "for": "30s"}, {"rate": "100/s", "for": "30s"}]}],
    )
    max_duration: Duration = Field(
        default=120.0,
        description="When the trial ends without a decision; with the rate it sets the horizon. "
        "Default: 2m, or as long as stepped or soaking arrivals last.",
        examples=["2m"],
    )
    requests: Requests = Field(
        default_factory=Requests,
        description="The rows that are sent.",
        examples=[{"data": "holdout.parquet", "target": "quality"}],
    )
    process: Literal["poisson", "constant"] = Field(
        default="poisson",
        description="How arrivals follow each other: at random (poisson) or evenly. Default: poisson.",
    )
    locustfile: str | None = Field(
        default=None,
        pattern=r"\.py$",
        description="A team's own Locust users instead of rows: what they ask is judged, by the arm that "
        "answers. They wait for answers, so that it is no open load. Default: none.",
        examples=["locustfile.py"],
    )
    users: Whole = Field(
        default=10,
        ge=1,
        le=100_000,
        description="With a locustfile, users at once. Default: 10.",
        examples=[10],
    )
    protocol: Literal["rest", "grpc"] = Field(
        default="rest",
        description="How requests are sent: V2 over REST or over gRPC. Default: rest.",
        examples=["grpc"],
    )
    paired: bool = Field(
        default=True,
        strict=True,
        description="Replay the same row to both arms, each at its own address, and compare the halves; "
        "needs fewer requests. Default: true.",
    )
    split_share: Fraction = Field(
        default=DEFAULT_SPLIT_SHARE,
        description="With paired replay, the share of arrivals sent once, through the split that users see. "
        "Default: 10%.",
        examples=["10%"],
    )
    timeout: Duration = Field(
        default=5.0,
        description="A request not answered by then has failed. Default: 5s.",
        examples=["5s"],
    )
    max_in_flight: Whole = Field(
        default=512,
        ge=1,
        le=100_000,
        description="Arrivals beyond so many open requests are dropped, and count as failures. Default: 512.",
        examples=[512],
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        found: list[Mistake] = []
        if not self.paired and self.split_share != DEFAULT_SPLIT_SHARE:
            found.append((("splitShare",), "without paired replay all arrivals go through the split"))
        for name, seconds in (("maxDuration", self.max_duration), ("timeout", self.timeout)):
            if seconds <= 0:
                found.append(((name,), "expected more than 0s"))
        found += self._of_arrivals()
        found += self._of_users()
        raise_mistakes(found)
        if self.locustfile is not None:
            object.__setattr__(self, "paired", False)
        if self.arrivals is not None and self.arrivals.duration is not None and not self._says_longest:
            # Not a value that a file has said: whatever asks for these still finds it unsaid.
            object.__setattr__(self, "max_duration", self.arrivals.duration)
        return self

    @property
    def answered(self) -> bool:
        """Whether what is sent may have right answers."""
        return self.locustfile is None and self.requests.generate is None

    @property
    def usual_interval(self) -> float:
        """Seconds between looks where nothing is said: of a long load not every second."""
        return usual_interval(self.max_duration) if self.max_duration > MOST_LOOKS else 1.0

    @property
    def _says_longest(self) -> bool:
        return "max_duration" in self.model_fields_set

    def _of_users(self) -> list[Mistake]:
        if self.locustfile is None:
            return []
        others = {
            "arrivals": "arrivals", "process": "process", "requests": "requests", "protocol": "protocol",
            "split_share": "splitShare",
        }  # fmt: skip
        found: list[Mistake] = [
            ((alias,), "the users of the locustfile decide what they send and when; remove it")
            for name, alias in others.items()
            if getattr(self, name) != type(self).model_fields[name].get_default(call_default_factory=True)
        ]
        if "paired" in self.model_fields_set and self.paired:
            found.append((("paired",), "users send no pairs; remove it"))
        return found

    def _of_arrivals(self) -> list[Mistake]:
        arrivals = self.arrivals
        if arrivals is None:
            return []
        found: list[Mistake] = []
        if self.arrival_rate != DEFAULT_RATE:
            found.append((("arrivalRate",), "arrivals say the rate already; remove one of the two"))
        if arrivals.trace is not None and self.process != "poisson":
            found.append((("process",), "a trace has the moments of all arrivals; remove it"))
        if arrivals.duration is not None and self._says_longest and self.max_duration > arrivals.duration:
            lasts = format_duration(arrivals.duration)
            found.append((("maxDuration",), f"the arrivals last {lasts}; say no more, or leave it out"))
        if arrivals.spike is not None and arrivals.spike.at + arrivals.spike.lasts > self.max_duration:
            longest = format_duration(self.max_duration)
            found.append((("arrivals", "spike", "for"), f"the peak ends after maxDuration, {longest}"))
        return found


def _unless_live(data: dict[str, Any]) -> LoadTest | None:
    return None if data.get("live") is not None else LoadTest()


class Traffic(Part):
    """The kind of traffic the trial is held on: a load test, or users' own requests."""

    model_config = ConfigDict(json_schema_extra={"not": {"required": ["live", "loadTest"]}})

    live: Live | None = Field(
        default=None,
        description="Users' own requests, as they come. Default: none, a load test is driven.",
        examples=[{"source": "requestLog", "collector": "http://fairtrial-collector:8080"}],
    )
    load_test: LoadTest | None = Field(
        default_factory=_unless_live,
        description="Load from held-out data, driven by Locust.",
        examples=[{"arrivalRate": "100/s"}],
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.live is not None and self.load_test is not None:
            raise_mistakes([(("live",), "loadTest is said already; choose one of the two")])
        return self

    @property
    def driven(self) -> LoadTest:
        """The load test, where there is one."""
        assert self.load_test is not None, "live traffic is not driven"
        return self.load_test

    @property
    def bounds(self) -> LoadTest | Live:
        """What says how long the trial lasts at most."""
        return self.live if self.live is not None else self.driven

    @property
    def paired(self) -> bool:
        """Whether rows are replayed to both arms."""
        return self.load_test is not None and self.load_test.paired
