"""What an arm's pods get on a cluster."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from fairtrial.experiment.base import Part, Whole, raise_mistakes
from fairtrial.experiment.quantities import describe

_NUMBER = r"[0-9]+(\.[0-9]+)?"
_QUANTITY = rf"^{_NUMBER}(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"


def _text(raw: object) -> object:
    """A quantity of Kubernetes, which may be written as a plain number."""
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise PydanticCustomError(
            "quantity", "expected a quantity such as 500m or 2Gi, got {got}", {"got": describe(raw)}
        )
    return str(raw)


Quantity = Annotated[str, BeforeValidator(_text), StringConstraints(pattern=_QUANTITY)]


class Resources(Part):
    """CPU, memory and whatever else the nodes offer, as in a container of Kubernetes."""

    requests: dict[str, Quantity] = Field(
        default_factory=dict[str, Quantity],
        description="What each replica is sure of. Default: nothing.",
        examples=[{"cpu": "500m", "memory": "512Mi"}],
    )
    limits: dict[str, Quantity] = Field(
        default_factory=dict[str, Quantity],
        description="What a replica may not exceed. Default: no limit.",
        examples=[{"memory": "1Gi"}],
    )


class Autoscaling(Part):
    """A HorizontalPodAutoscaler by CPU."""

    min_replicas: Whole = Field(
        default=1, ge=1, description="Never fewer than these. Default: 1.", examples=[1]
    )
    max_replicas: Whole = Field(ge=1, description="Never more than these.", examples=[5])
    target_cpu: Whole = Field(
        default=80,
        ge=1,
        description="Percent of the requested CPU that replicas should use; resources.requests must say a "
        "CPU. Default: 80.",
        examples=[80],
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise_mistakes([(("minReplicas",), f"more than maxReplicas, which is {self.max_replicas}")])
        return self
