"""Which model of which registry is meant: `promotion:` of an experiment, `registry:` of a pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Self, TypeAlias

from fairtrial_servers.addresses import credentials_in, shown
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from fairtrial.experiment.base import Mistake, Part, raise_mistakes


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

_Image = Annotated[str, StringConstraints(pattern=r"^\S+$", max_length=255)]


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
    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,}(-[a-z]+)+-[0-9]+$")] | None = Field(
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
    image: _Image | None = Field(
        default=None,
        description="The image that a package made here names, for those who deploy it on SageMaker. "
        "Default: none.",
        examples=["123456789012.dkr.ecr.eu-central-1.amazonaws.com/serving:1"],
    )

    @property
    def place(self) -> str:
        """Which registry it is, in words."""
        return f"SageMaker in {self.region}" if self.region else "SageMaker"


class VertexModel(Part):
    """A model of Vertex AI, and the version alias that says which version serves."""

    model: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,63}$")] = Field(
        description="The model's id, which is not its display name.", examples=["wine"]
    )
    alias: Annotated[
        str, StringConstraints(pattern=r"^[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]$"), AfterValidator(_of_no_version)
    ] = Field(
        default="champion",
        description="The version alias that says which version serves. Default: champion.",
        examples=["champion"],
    )
    project: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.:-]*$")] = Field(
        description="The project's id, or its number.", examples=["wines-42"]
    )
    location: Annotated[str, StringConstraints(pattern=r"^[a-z]+(-[a-z]+)+[0-9]+$")] = Field(
        description="Google Cloud's region.", examples=["europe-west4"]
    )
    artifacts: Annotated[str, StringConstraints(pattern=r"^gs://[^/\s]+/[^\s]+$")] | None = Field(
        default=None,
        description="Where the files of a candidate that is promoted are put. Default: nowhere, so that only "
        "versions that are there already can be promoted.",
        examples=["gs://bucket/models"],
    )
    image: _Image | None = Field(
        default=None,
        description="The image that a version made here is served by on Vertex AI; with artifacts. "
        "Default: none.",
        examples=["europe-docker.pkg.dev/wines-42/serving/wine:1"],
    )

    @property
    def place(self) -> str:
        """Which registry it is, in words."""
        return f"Vertex AI, {self.project} in {self.location}"

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.artifacts is not None and self.image is None:
            raise_mistakes([(("artifacts",), "Vertex AI takes no version without an image: say image too")])
        return self


class NeptuneModel(Part):
    """A model of Neptune, and the alias that says which version serves."""

    model: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]+-[A-Z0-9]+$")] = Field(
        description="The model's id.", examples=["WIN-WINE"]
    )
    alias: ShortAlias = Field(
        default="champion",
        description="The alias that says which version serves, a field of the model; that version is the one "
        "in production. Default: champion.",
        examples=["champion"],
    )
    project: Annotated[str, StringConstraints(pattern=r"^[^/\s]+/[^/\s]+$")] = Field(
        description="The workspace and the project.", examples=["ada/wines"]
    )
    address: Annotated[str, StringConstraints(pattern=r"^[^/\s]+(/[^/\s]+)*$")] = Field(
        default="model/uri",
        description="The field of a version that says where its files are. Default: model/uri.",
        examples=["model/uri"],
    )

    @property
    def place(self) -> str:
        """Which registry it is, in words."""
        return f"Neptune, {self.project}"


Chosen: TypeAlias = MlflowModel | SageMakerGroup | VertexModel | NeptuneModel
_KINDS = ("mlflow", "sageMaker", "vertex", "neptune")


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
    vertex: VertexModel | None = Field(
        default=None,
        description="A model of Vertex AI. Needs fairtrial[vertex].",
        examples=[{"model": "wine", "project": "wines-42", "location": "europe-west4"}],
    )
    neptune: NeptuneModel | None = Field(
        default=None,
        description="A model of Neptune 2.x. Needs fairtrial[neptune].",
        examples=[{"model": "WIN-WINE", "project": "ada/wines"}],
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if not self.said:
            raise_mistakes([((), f"say which registry: one of {', '.join(_KINDS[:-1])} and {_KINDS[-1]}")])
        first, *others = (kind for kind, _ in self.said)
        raise_mistakes(((kind,), f"{first} is said already; choose one of the two") for kind in others)
        return self

    @property
    def said(self) -> list[tuple[str, Chosen]]:
        """What the file has, each with its field's name: one, once it was checked."""
        sections = (self.mlflow, self.sage_maker, self.vertex, self.neptune)
        return [
            (kind, section) for kind, section in zip(_KINDS, sections, strict=True) if section is not None
        ]

    @property
    def chosen(self) -> Chosen:
        """The section that the file has."""
        return self.said[0][1]


def mistakes_of_promotion(registry: ModelRegistry) -> Iterator[Mistake]:
    """Of a registry that gets the files of a candidate: the end of a run is no time to ask where to."""
    kind, section = registry.said[0]
    if isinstance(section, SageMakerGroup | VertexModel) and section.artifacts is None:
        yield (kind, "artifacts"), "required: say where the files of a candidate that is promoted are put"
