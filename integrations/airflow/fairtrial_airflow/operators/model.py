"""Batch scoring, and images of models."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from fairtrial_airflow.command import Finished
from fairtrial_airflow.endings import react
from fairtrial_airflow.operators.base import CommandOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class FairtrialScoreOperator(CommandOperator):
    """`fairtrial score MODEL DATA --out OUT`. Returns the command's document: rows, and where they are.

    A task that is tried again goes on where the last one was cut off.
    """

    template_fields: Collection[str] = (*CommandOperator.template_fields, "model", "data", "out")

    def __init__(self, *, model: str, data: str, out: str, **kwargs: Any) -> None:
        """model: a path or an address, as `models:/wine@champion`. data, out: files, folders or tables."""
        super().__init__(**kwargs)
        self.model = model
        self.data = data
        self.out = out

    def execute(self, context: Context) -> Mapping[str, Any]:
        del context
        return _succeeded(self.call("score", self.model, self.data, "--out", self.out))


class FairtrialPackOperator(CommandOperator):
    """`fairtrial pack MODEL`: an OCI image with a model in it. Returns its document, digest and all."""

    template_fields: Collection[str] = (*CommandOperator.template_fields, "model", "image", "push")

    def __init__(
        self, *, model: str, image: str | None = None, push: str | None = None, **kwargs: Any
    ) -> None:
        """image: an OCI layout to write, a folder or a .tar. push: REGISTRY/NAME:TAG. One or both."""
        super().__init__(**kwargs)
        if image is None and push is None:
            raise ValueError("say `image`, `push` or both: where the image is to go")
        self.model = model
        self.image = image
        self.push = push

    def execute(self, context: Context) -> Mapping[str, Any]:
        del context
        image = ["--image", self.image] if self.image else []
        push = ["--push", self.push] if self.push else []
        return _succeeded(self.call("pack", self.model, *image, *push))


def _succeeded(finished: Finished) -> Mapping[str, Any]:
    message = str(finished.document.get("error") or finished.last_words)
    react(finished.code, message, on_rollback="fail", on_inconclusive="fail")
    return dict(finished.document)
