"""Which model of which registry is meant: `promotion:` of an experiment, `registry:` of a pipeline."""

from __future__ import annotations

from typing import Annotated, Self, TypeAlias

from fairtrial_servers.addresses import credentials_in, shown
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from fairtrial.experiment.base import Part, raise_mistakes


def _of_no_version(alias: str) -> str:
    """MLflow keeps these for itself; what reads them elsewhere would not know which is meant either."""
    if alias.lower() == "latest" or (alias[:1] in "vV" and alias[1:].isdecimal()):
        raise ValueError(f"expected a name that can move, such as champion; {alias} says a version")
    return alias


def _letting_nobody_in(uri: str) -> str:
    if credentials_in(uri):
        raise ValueError(
            "expected an address without a password or token, which would be copied into run folders: "
            "MLFLOW_TRACKING_USERNAME and its like are taken from the environment, see docs/registries.md",
        )
    return uri


_NAME = r"^[A-Za-z][A-Za-z0-9_-]*$"
Alias = Annotated[str, StringConstraints(pattern=_NAME, max_length=255), AfterValidator(_of_no_version)]
ShortAlias = Annotated[str, StringConstraints(pattern=_NAME, max_length=100), AfterValidator(_of_no_version)]


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
    tracking_uri: (
        Annotated[str, StringConstraints(min_length=1), AfterValidator(_letting_nobody_in)] | None
    ) = Field(
        default=None,
        description="The MLflow server, or databricks://PROFILE, or azureml://... of a workspace. "
        "Default: MLFLOW_TRACKING_URI of the environment.",
        examples=["http://127.0.0.1:5000"],
    )

    @property
    def place(self) -> str:
        """Which registry it is, in words."""
        return f"MLflow at {shown(self.tracking_uri or 'MLFLOW_TRACKING_URI')}"


class SageMakerGroup(Part):
    """A model package group of SageMaker, and the alias that says which version serves."""

    model: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$")] = Field(
        description="The model package group's name.", examples=["wine"]
    )
    alias: ShortAlias = Field(
        default="champion",
        description="The alias that says which version serves, a tag of the group; that version is the one "
        "that is approved. Default: champion.",
        examples=["champion"],
    )
    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]+$")] | None = Field(
        default=None,
        description="AWS's region. Default: that of the environment, or of the profile.",
        examples=["eu-central-1"],
    )
    artifacts: Annotated[str, StringConstraints(pattern=r"^s3://[^/\s]+/[^\s]+$")] | None = Field(
        default=None,
        description="Where the files of a candidate that is promoted are put. Default: nowhere, so that only "
        "versions that are there already can be promoted.",
        examples=["s3://bucket/models"],
    )
    image: Annotated[str, StringConstraints(pattern=r"^\S+$", max_length=255)] | None = Field(
        default=None,
        description="The image that a package made here names, for those who deploy it on SageMaker. "
        "Default: none.",
        examples=["123456789012.dkr.ecr.eu-central-1.amazonaws.com/serving:1"],
    )

    @property
    def place(self) -> str:
        """Which registry it is, in words."""
        return f"SageMaker in {self.region}" if self.region else "SageMaker"


Chosen: TypeAlias = MlflowModel | SageMakerGroup
_KINDS = ("mlflow", "sageMaker")


class ModelRegistry(Part):
    """One model of one registry: exactly one of the kinds."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [kind]} for kind in _KINDS]})

    mlflow: MlflowModel | None = Field(
        default=None,
        description="A registered model of MLflow, and the alias that moves to the version that won.",
        examples=[{"model": "wine", "alias": "champion"}],
    )
    sage_maker: SageMakerGroup | None = Field(
        default=None,
        description="A model package group of SageMaker. Needs fairtrial[sagemaker].",
        examples=[{"model": "wine", "artifacts": "s3://bucket/models"}],
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        said = [kind for kind, section in zip(_KINDS, self._sections, strict=True) if section is not None]
        if not said:
            raise_mistakes([((), f"say which registry: one of {', '.join(_KINDS[:-1])} and {_KINDS[-1]}")])
        raise_mistakes(((kind,), f"{said[0]} is said already; choose one of the two") for kind in said[1:])
        return self

    @property
    def chosen(self) -> Chosen:
        """The section that the file has."""
        return next(section for section in self._sections if section is not None)

    @property
    def _sections(self) -> tuple[Chosen | None, ...]:
        return self.mlflow, self.sage_maker
