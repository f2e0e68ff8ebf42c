"""Which model of which registry is meant: `promotion:` of an experiment, `registry:` of a pipeline."""

from __future__ import annotations

from typing import Annotated

from fairtrial_servers.addresses import credentials_in, shown
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from fairtrial.experiment.base import Part


def _of_no_version(alias: str) -> str:
    """MLflow keeps these for itself; what reads them elsewhere would not know which is meant either."""
    if alias.lower() == "latest" or (alias[:1] in "vV" and alias[1:].isdecimal()):
        raise PydanticCustomError(
            "alias", "expected a name that moves, such as champion: {alias} says a version", {"alias": alias}
        )
    return alias


def _letting_nobody_in(uri: str) -> str:
    if credentials_in(uri):
        raise PydanticCustomError(
            "tracking_uri",
            "expected an address without a password or token, which would be copied into run folders: "
            "MLFLOW_TRACKING_USERNAME and its like are taken from the environment, see docs/registries.md",
        )
    return uri


Alias = Annotated[
    str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=255), AfterValidator(_of_no_version)
]


class MlflowModel(Part):
    """A registered model of MLflow, and the alias that says which version serves."""

    model: str = Field(
        min_length=1,
        max_length=256,
        description="The registered model's name; in Databricks' Unity Catalog catalog.schema.name.",
        examples=["wine"],
    )
    alias: Alias = Field(
        default="champion",
        description="The alias that says which version serves. Default: champion.",
        examples=["champion"],
    )
    tracking_uri: Annotated[str, AfterValidator(_letting_nobody_in)] | None = Field(
        default=None,
        min_length=1,
        description="The MLflow server, or databricks://PROFILE, or azureml://... of a workspace. "
        "Default: MLFLOW_TRACKING_URI of the environment.",
        examples=["http://127.0.0.1:5000"],
    )

    @property
    def place(self) -> str:
        """Which registry it is, in words."""
        return f"MLflow at {shown(self.tracking_uri or 'MLFLOW_TRACKING_URI')}"


class ModelRegistry(Part):
    """One model of one registry."""

    mlflow: MlflowModel = Field(
        description="A registered model of MLflow, and the alias that moves to the version that won.",
        examples=[{"model": "wine", "alias": "champion"}],
    )

    @property
    def chosen(self) -> MlflowModel:
        """The section that the file has."""
        return self.mlflow
