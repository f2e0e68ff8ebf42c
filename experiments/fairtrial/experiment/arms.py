"""The versions under trial."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from fairtrial.experiment.base import DnsLabel, Part, raise_mistakes
from fairtrial.experiment.quantities import describe

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


def _local(raw: object) -> object:
    """A model location that this version can read."""
    if not isinstance(raw, str):
        return raw
    scheme = _SCHEME.match(raw)
    if not raw.strip():
        raise PydanticCustomError("model_uri", "expected a path or a file:// URL, got nothing")
    if scheme and not raw.startswith("file:///"):
        raise PydanticCustomError(
            "model_uri",
            'expected a path or a file:// URL with three slashes, got "{scheme}:", which is not read yet',
            {"scheme": scheme[1]},
        )
    return raw


def _scalar(raw: object) -> object:
    if isinstance(raw, str | bool | int | float):
        return raw
    raise PydanticCustomError(
        "parameter", "expected a text, a number, true or false, got {got}", {"got": describe(raw)}
    )


#: Where a model is; relative paths are relative to the experiment file's folder.
ModelUri = Annotated[str, BeforeValidator(_local)]
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
        description="Where the model is: a path relative to this file, or a file:// URL; a file or a folder "
        "with one model in it. Required, unless spec.deployment says what runs.",
        examples=["models/v1", "file:///srv/models/wine-7.joblib"],
    )
    implementation: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_.]*$",
        description="The server's class, ours or a stock one. Default: by the model's format.",
        examples=["SKLEARN_SERVER", "mlserver_sklearn.SKLearnModel"],
    )
    format: Literal["mlflow", "onnx", "sklearn"] | None = Field(
        default=None,
        description="The model's format. Default: detected from the files.",
        examples=["sklearn"],
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
