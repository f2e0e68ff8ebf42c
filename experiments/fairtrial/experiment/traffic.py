"""Where requests come from."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from fairtrial.experiment.base import Mistake, Part, Whole, raise_mistakes
from fairtrial.experiment.live import Live
from fairtrial.experiment.quantity_types import Duration, Fraction, Rate

DEFAULT_DATA = "holdout.parquet"
DEFAULT_TARGET = "target"
DEFAULT_SPLIT_SHARE = 0.1


class Requests(Part):
    """The rows that are sent. Columns other than target, unit and exclude are the features."""

    data: str = Field(
        default=DEFAULT_DATA,
        pattern=r"\.(parquet|csv|jsonl)$",
        description="Held-out data, .parquet, .csv or .jsonl; a path relative to this file. "
        "Default: holdout.parquet.",
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

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        found: list[Mistake] = []
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
        default=100.0,
        description="Arrivals a second, minute or hour; a replayed pair is one arrival. Default: 100/s.",
        examples=["200/s"],
    )
    max_duration: Duration = Field(
        default=120.0,
        description="When the trial ends without a decision; with the rate it sets the horizon. Default: 2m.",
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
        raise_mistakes(found)
        return self


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
