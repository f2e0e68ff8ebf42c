"""The versions under trial."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from fairtrial_graphs.backends.address import Address
from fairtrial_servers.addresses import credentials_in, wrong_with
from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from fairtrial.experiment.base import DnsLabel, Mistake, Part, Whole, raise_mistakes
from fairtrial.experiment.hosting import Autoscaling, Resources
from fairtrial.experiment.quantities import describe


def _readable(raw: object) -> object:
    """A model location that can be looked up, and that lets in nobody who reads the file."""
    if not isinstance(raw, str):
        return raw
    wrong = wrong_with(raw)
    if wrong is not None:
        raise PydanticCustomError("model_uri", "expected {wrong}", {"wrong": wrong})
    if credentials_in(raw):
        raise PydanticCustomError(
            "model_uri",
            "expected an address without a password, signature or token, which would be copied into "
            "manifests and run folders: credentials are taken from the environment, see docs/stores.md",
        )
    return raw


def _address(raw: object) -> object:
    if not isinstance(raw, str):
        return raw
    try:
        Address.read(raw)
    except ValueError as error:
        raise PydanticCustomError("model_uri", "{wrong}", {"wrong": str(error)}) from error
    return raw


def _scalar(raw: object) -> object:
    if isinstance(raw, str | bool | int | float):
        return raw
    raise PydanticCustomError(
        "parameter", "expected a text, a number, true or false, got {got}", {"got": describe(raw)}
    )


#: Where a model is, a path or an address; relative paths are relative to the experiment file's folder.
ModelUri = Annotated[str, BeforeValidator(_readable)]
#: Where an arm that somebody else runs answers the V2 protocol.
ArmUrl = Annotated[str, BeforeValidator(_address)]
Parameter = Annotated[str | bool | int | float, BeforeValidator(_scalar)]


class Signature(Part):
    """By whom a model must be signed to be loaded: a key, or certificates."""

    public_key: str | None = Field(
        default=None,
        description="A PEM file with the public key of whoever signs, relative to this file.",
        examples=["keys/team.pub"],
    )
    certificates: str | None = Field(
        default=None,
        description="A PEM file with the certificates that the signer's must lead to, relative to this file.",
        examples=["keys/chain.pem"],
    )
    file: str | None = Field(
        default=None,
        description="The signature's file in the model's folder. Default: model.sig; beside a model that is "
        "a file, its name and .sig.",
        examples=["team.sig"],
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.public_key is None) == (self.certificates is None):
            raise_mistakes([((), "say either publicKey or certificates")])
        return self


class Arm(Part):
    """One model version."""

    model_uri: ModelUri | None = Field(
        default=None,
        description="Where the model is, a file or a folder with one model in it: a path relative to this "
        "file, or an address with file://, http(s)://, s3://, gs://, az://, abfs(s)://, wasb(s)://, "
        "sql+<dialect>://, models:/ or runs:/. Required, unless image, url or spec.deployment says what "
        "runs.",
        examples=[
            "models/v1",
            "file:///srv/models/wine-7.joblib",
            "s3://bucket/wine/7",
            "models:/wine@champion",
        ],
    )
    url: ArmUrl | None = Field(
        default=None,
        description="Instead of modelUri: where the arm runs already, as https://host or "
        "https://host/v2/models/NAME. Load is sent there; nothing is deployed, promoted or rolled back. "
        "Default: none, the arm is deployed.",
        examples=["https://models.example/v2/models/wine"],
    )
    image: str | None = Field(
        default=None,
        pattern=r"^[^\s@]+(@sha256:[0-9a-f]{64})?$",
        max_length=500,
        description="Instead of modelUri: an image that serves the model, as `fairtrial pack` makes one; "
        "on a cluster only. Default: none, the cluster's server for the format fetches the model.",
        examples=["registry.example/models/wine:7"],
    )
    implementation: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_.]*$",
        description="The server's class, ours or a stock one. Default: by the model's format.",
        examples=["SKLEARN_SERVER", "mlserver_sklearn.SKLearnModel"],
    )
    format: Literal["keras", "mleap", "mlflow", "onnx", "pmml", "pytorch", "sklearn", "tensorflow"] | None = (
        Field(
            default=None,
            description="The model's format. Default: detected from the files.",
            examples=["sklearn"],
        )
    )
    parameters: dict[str, Parameter] = Field(
        default_factory=dict[str, Parameter],
        description="Passed to the model server. Default: none.",
        examples=[{"method": "predict_proba"}],
    )
    signature: Signature | None = Field(
        default=None,
        description="By whom the model must be signed; one that is not is never loaded. Default: anyone, and "
        "nobody.",
        examples=[{"publicKey": "keys/team.pub"}],
    )

    replicas: Whole | None = Field(
        default=None, ge=1, description="How many servers run it. Default: 1.", examples=[2]
    )
    resources: Resources | None = Field(
        default=None,
        description="What each replica gets on a cluster. Default: as the cluster has it.",
        examples=[{"requests": {"cpu": "500m", "memory": "512Mi"}}],
    )
    autoscaling: Autoscaling | None = Field(
        default=None,
        description="Let the cluster say how many replicas there are. Default: it does not.",
        examples=[{"maxReplicas": 5}],
    )
    service_account: str | None = Field(
        default=None,
        min_length=1,
        description="The ServiceAccount with which a cluster fetches the model. Default: the namespace's.",
        examples=["models"],
    )
    env_secret: str | None = Field(
        default=None,
        min_length=1,
        description="A Secret with the credentials with which a cluster fetches the model. Default: none.",
        examples=["seldon-rclone-secret"],
    )

    @model_validator(mode="after")
    def _scaled_by_one(self) -> Self:
        if self.autoscaling is not None:
            if self.replicas is not None:
                raise_mistakes(
                    [(("replicas",), "autoscaling says how many there are: leave one of the two out")]
                )
            if self.resources is None or "cpu" not in self.resources.requests:
                raise_mistakes(
                    [(("autoscaling",), "scales by the requested CPU: say resources.requests.cpu, too")]
                )
        return self


def mistakes_of_image(arm: Arm) -> Iterator[Mistake]:
    """What cannot be said of an arm with an image, by its path below the arm."""
    if arm.model_uri is not None:
        yield ("image",), "modelUri has a server fetch the model; say one of the two"
    for field, value in (("implementation", arm.implementation), ("format", arm.format)):
        if value is not None:
            yield (field,), "the image has a server of its own; remove it"
    if arm.signature is not None:
        yield ("signature",), "is verified where a model is loaded from its files, and before it is packed"


class Baseline(Arm):
    """The version in service."""

    name: DnsLabel = Field(
        default="baseline",
        description="The arm's name, and its predictor's. Default: baseline.",
        examples=["v1"],
    )


class Candidate(Arm):
    """A version that challenges the baseline."""

    name: DnsLabel = Field(
        default="candidate",
        description="The arm's name, and its predictor's. Default: candidate.",
        examples=["v2"],
    )
