"""Where a promotion is made known."""

from __future__ import annotations

from pydantic import Field

from fairtrial.experiment.base import Part


class MlflowPromotion(Part):
    """A registered model of MLflow, and the alias that moves to the version that won."""

    model: str = Field(
        min_length=1, max_length=256, description="The registered model's name.", examples=["wine"]
    )
    alias: str = Field(
        default="champion",
        pattern=r"^[A-Za-z][A-Za-z0-9_-]*$",
        max_length=255,
        description="The alias that says which version serves. Default: champion.",
        examples=["champion"],
    )
    tracking_uri: str | None = Field(
        default=None,
        min_length=1,
        description="The MLflow server. Default: MLFLOW_TRACKING_URI of the environment.",
        examples=["http://127.0.0.1:5000"],
    )


class Promotion(Part):
    """What is done beside moving the traffic when a candidate is promoted."""

    mlflow: MlflowPromotion = Field(
        description="Make the candidate a version of a registered model, and move an alias to it.",
        examples=[{"model": "wine", "alias": "champion"}],
    )
