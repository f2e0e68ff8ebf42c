"""The experiment: one YAML file, typed. Where every default is documented, for people and for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlparse

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator

from fairtrial.experiment.analysis import Abort, Analysis
from fairtrial.experiment.approval import Approval
from fairtrial.experiment.arms import Baseline, Candidate, mistakes_of_image
from fairtrial.experiment.base import DnsLabel, Mistake, Part, raise_mistakes
from fairtrial.experiment.elsewhere import mistakes_elsewhere, mistakes_of_address
from fairtrial.experiment.live_rules import (
    looked_at,
    mistakes_of_live,
    mistakes_of_metrics,
    mistakes_of_users,
)
from fairtrial.experiment.metric_families import ANSWERED
from fairtrial.experiment.metrics import Metric
from fairtrial.experiment.notifications import Notification, Tracking
from fairtrial.experiment.registries import ModelRegistry, mistakes_of_promotion
from fairtrial.experiment.schedule import Schedule
from fairtrial.experiment.stickiness import Sticky
from fairtrial.experiment.strategy import AbTest, Strategy
from fairtrial.experiment.strategy_rules import mistakes_of_reward, mistakes_with_arms
from fairtrial.experiment.traffic import DEFAULT_DATA, Generate, Traffic

API_VERSION = "fairtrial.dev/v1alpha1"
KIND = "Experiment"


class Metadata(Part):
    """As in Kubernetes."""

    name: DnsLabel = Field(
        default="experiment",
        description="The experiment's name, and its SeldonDeployment's. Default: experiment.",
        examples=["wine"],
    )


class Spec(Part):
    """What is tried, on which traffic, and what must be true of the winner."""

    deployment: str | None = Field(
        default=None,
        min_length=1,
        description="A SeldonDeployment written by hand, a path relative to this file; baseline and "
        "candidates then name its predictors. Default: one is made from the arms.",
        examples=["seldondeployment.yaml"],
    )
    baseline: Baseline = Field(
        description="The version in service, which stays unless a candidate wins.",
        examples=[{"name": "v1", "modelUri": "models/v1"}],
    )
    candidates: tuple[Candidate, ...] = Field(
        min_length=1,
        max_length=20,
        description="The versions that challenge it: each is judged against the baseline, and the best of "
        "those that pass is taken.",
        examples=[[{"name": "v2", "modelUri": "models/v2"}]],
    )
    strategy: Strategy = Field(
        default_factory=lambda: Strategy(ab_test=AbTest()),
        description="How users' traffic is divided. Default: an A/B test at 50%.",
        examples=[{"canary": {"steps": [{"setWeight": 10}, {"setWeight": 50}]}}],
    )
    traffic: Traffic = Field(
        default_factory=Traffic,
        validate_default=True,
        description="Where requests come from. Default: a load test from holdout.parquet.",
        examples=[{"loadTest": {"arrivalRate": "100/s"}}],
    )
    sticky: Sticky | None = Field(
        default=None,
        description="Keep a caller on one arm: by a header, a cookie or a key, one of the three. "
        "Default: each request is sent either way at random.",
        examples=[{"header": "x-user"}],
    )
    metrics: tuple[Metric, ...] = Field(
        min_length=1, max_length=50, description="What is measured.", examples=[[{"name": "accuracy"}]]
    )
    analysis: Analysis = Field(
        default_factory=Analysis,
        validate_default=True,
        description="How the evidence is weighed.",
        examples=[{"falsePositiveRate": "5%", "power": "80%"}],
    )
    on_inconclusive: Literal["rollback", "promote", "hold"] = Field(
        default="rollback",
        description="What is done when the horizon is reached without a decision: return to the baseline, "
        "take the candidate, or leave the split as it is. Default: rollback.",
    )
    approval: Approval | None = Field(
        default=None,
        description="Whether somebody has to say yes before a candidate takes over. Default: nobody.",
        examples=[{"timeout": "12h"}],
    )
    schedule: Schedule | None = Field(
        default=None,
        description="When production may be changed; a trial begins, goes forward and promotes at no other "
        "time, and returns to the baseline at any. Default: always.",
        examples=[{"windows": [{"cron": "0 9 * * 1-5", "lasts": "8h"}]}],
    )
    promotion: ModelRegistry | None = Field(
        default=None,
        description="Where a promotion is made known, beside the traffic. Default: nowhere.",
        examples=[{"mlflow": {"model": "wine", "alias": "champion"}}],
    )
    notifications: tuple[Notification, ...] = Field(
        default=(),
        max_length=20,
        description="Who is told of the run's turns. Default: nobody.",
        examples=[[{"webhook": "https://hooks.example/fairtrial", "events": ["verdict"]}]],
    )
    tracking: Tracking | None = Field(
        default=None,
        description="Where figures of a run are kept beside its own folder. Default: nowhere.",
        examples=[{"mlflow": {"experiment": "wine-trials"}}],
    )
    abort: Abort | None = Field(
        default=None,
        description="Limits that end the trial at once. Default: none.",
        examples=[{"errorRate": "50%"}],
    )

    @property
    def elsewhere(self) -> bool:
        """Whether the arms are run by somebody else, at addresses of their own."""
        return self.baseline.url is not None

    @property
    def scored(self) -> bool:
        """Whether any metric needs the right answers."""
        return any(metric.scored for metric in self.metrics)

    # Checks between fields are validators of the later field: they run even when others are wrong,
    # so that all mistakes are told at once.

    @field_validator("baseline")
    @classmethod
    def _runnable(cls, baseline: Baseline, info: ValidationInfo) -> Baseline:
        if "deployment" in info.data:
            raise_mistakes(_of_arm(baseline, info.data["deployment"]))
        return baseline

    @field_validator("promotion")
    @classmethod
    def _with_place(cls, promotion: ModelRegistry | None) -> ModelRegistry | None:
        raise_mistakes(mistakes_of_promotion(promotion) if promotion else ())
        return promotion

    @field_validator("candidates")
    @classmethod
    def _distinct(cls, candidates: tuple[Candidate, ...], info: ValidationInfo) -> tuple[Candidate, ...]:
        found: list[Mistake] = []
        names = [info.data["baseline"].name] if "baseline" in info.data else []
        for i, candidate in enumerate(candidates):
            if "deployment" in info.data:
                found += [((i, *path), why) for path, why in _of_arm(candidate, info.data["deployment"])]
            if candidate.name in names:
                found.append(((i, "name"), f'another arm is called "{candidate.name}" already'))
            names.append(candidate.name)
            if "baseline" in info.data and (candidate.url is None) != (info.data["baseline"].url is None):
                here = "url" if candidate.url is not None else "modelUri"
                found.append(((i, here), "of the arms either all run already, at a url, or none does"))
        raise_mistakes(found)
        return candidates

    @field_validator("strategy")
    @classmethod
    def _enough_for_all(cls, strategy: Strategy, info: ValidationInfo) -> Strategy:
        if "baseline" in info.data and "candidates" in info.data:
            candidates = tuple(candidate.name for candidate in info.data["candidates"])
            raise_mistakes(mistakes_with_arms(strategy, info.data["baseline"].name, candidates))
        return strategy

    @field_validator("traffic")
    @classmethod
    def _reaches_all(cls, traffic: Traffic, info: ValidationInfo) -> Traffic:
        strategy = _strategy(info)
        alone = strategy.without_users if strategy is not None else None
        if "baseline" in info.data and info.data["baseline"].url is not None:
            raise_mistakes(mistakes_elsewhere(traffic))
        elif traffic.live is not None:
            if strategy is not None:
                raise_mistakes(mistakes_of_live(strategy))
        elif alone is not None:
            no_pairs = f"{alone} sends no users to the candidate, so that only replayed pairs can judge it"
            if not traffic.driven.paired:
                raise_mistakes([(("loadTest", "paired"), no_pairs)])
            if traffic.driven.split_share == 1:
                raise_mistakes([(("loadTest", "splitShare"), f"{no_pairs}; 100% leaves none")])
        return traffic

    @field_validator("metrics")
    @classmethod
    def _named_once(cls, metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
        names = [metric.name for metric in metrics]
        raise_mistakes(
            ((i, "name"), f'another metric is called "{name}"; name this one otherwise and say its `column`')
            for i, name in enumerate(names)
            if name in names[:i]
        )
        return metrics

    @field_validator("metrics")
    @classmethod
    def _rewarded(cls, metrics: tuple[Metric, ...], info: ValidationInfo) -> tuple[Metric, ...]:
        strategy = _strategy(info)
        if strategy is not None and strategy.bandit is not None:
            raise_mistakes(mistakes_of_reward(strategy.bandit, metrics))
        return metrics

    @field_validator("metrics")
    @classmethod
    def _told_by_the_source(cls, metrics: tuple[Metric, ...], info: ValidationInfo) -> tuple[Metric, ...]:
        traffic = info.data.get("traffic")
        if isinstance(traffic, Traffic) and traffic.live is not None:
            raise_mistakes(mistakes_of_metrics(traffic.live, metrics))
        elif isinstance(traffic, Traffic) and not traffic.driven.answered:
            raise_mistakes(
                ((i, "name"), "these requests have no right answers; judge latency and errors, or send data")
                for i, metric in enumerate(metrics)
                if metric.scored or metric.column in ANSWERED
            )
        return metrics

    @field_validator("analysis")
    @classmethod
    def _within_horizon(cls, analysis: Analysis, info: ValidationInfo) -> Analysis:
        traffic = info.data.get("traffic")
        if isinstance(traffic, Traffic):
            live, horizon = traffic.live, traffic.bounds.max_duration
            analysis = looked_at(analysis, traffic.bounds)
            if analysis.unit == "user":
                raise_mistakes(mistakes_of_users(traffic))
            kind = "loadTest" if live is None else "live"
            strategy = _strategy(info)
            if analysis.unit == "user" and strategy is not None and strategy.bandit is not None:
                raise_mistakes(
                    [(("unit",), "a bandit moves users from arm to arm with each division; judge by request")]
                )
            raise_mistakes(
                ((name,), f"not shorter than traffic.{kind}.maxDuration: nothing would be judged")
                for name, seconds in (("warmUp", analysis.warm_up), ("lookInterval", analysis.look_interval))
                if not isinstance(seconds, str) and seconds >= horizon
            )
        return analysis


def _strategy(info: ValidationInfo) -> Strategy | None:
    """What was read of it; None where it was wrong."""
    strategy: Strategy | None = info.data.get("strategy")
    return strategy


def _of_arm(arm: Baseline | Candidate, deployment: str | None) -> list[Mistake]:
    if deployment is None:
        if arm.url is not None:
            return list(mistakes_of_address(arm))
        if arm.image is not None:
            return list(mistakes_of_image(arm))
        if arm.model_uri is None:
            return [(("modelUri",), f'required: where the model of "{arm.name}" is')]
        return []
    return [
        ((field,), f'spec.deployment says what "{arm.name}" runs; say it there')
        for field, value in arm.model_dump().items()
        if field != "name" and value
    ]


class Experiment(Part):
    """An A/B test of model versions: which one serves, which one challenges it, and what decides."""

    api_version: Literal["fairtrial.dev/v1alpha1"] = Field(description="The version of this format.")
    kind: Literal["Experiment"] = Field(description="What this file is.")
    metadata: Metadata = Field(
        default_factory=Metadata, description="The experiment's name.", examples=[{"name": "wine"}]
    )
    spec: Spec = Field(description="The experiment.", examples=[{}])

    _folder: Path = PrivateAttr(default=Path())

    def model_post_init(self, context: Any, /) -> None:
        """Take the folder that relative paths start from out of the validation's context."""
        if isinstance(context, dict) and "folder" in context:
            self._folder = Path(context["folder"])

    @property
    def folder(self) -> Path:
        """What relative paths are relative to: the experiment file's folder, else the working directory."""
        return self._folder

    @property
    def data(self) -> Path | None:
        """The rows that a load test sends; None for live traffic and where they are generated."""
        load = self.spec.traffic.load_test
        if load is None or load.locustfile is not None or self.generate is not None:
            return None
        return self._folder / load.requests.data

    @property
    def generate(self) -> Generate | None:
        """How requests are made up: as is said, or where nothing is and there are no data, by default."""
        load = self.spec.traffic.load_test
        if load is None or load.locustfile is not None:
            return None
        if load.requests.generate is not None:
            return load.requests.generate
        unsaid = "requests" not in load.model_fields_set and not self.spec.scored
        return Generate() if unsaid and not (self._folder / DEFAULT_DATA).exists() else None

    def locate(self, uri: str) -> Path:
        """The path on this machine of a path or file:// URL in the experiment."""
        return locate(uri, self._folder)


def locate(uri: str, folder: Path) -> Path:
    """A path or file:// URL, relative to `folder`."""
    return folder / (unquote(urlparse(uri).path) if uri.startswith("file:") else uri)
