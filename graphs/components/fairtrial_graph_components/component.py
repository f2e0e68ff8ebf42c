"""What all components have in common: JSON in and out, whatever came over the wire, and refusals as
sentences."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable
from typing import Any

import flask
import numpy as np
from google.protobuf import json_format
from seldon_core.flask_utils import SeldonMicroserviceException
from seldon_core.proto import prediction_pb2
from seldon_core.user_model import SeldonComponent
from seldon_core.utils import get_request_path
from werkzeug.exceptions import HTTPException

from fairtrial_graph_components.policies.payloads import Message, meta_of, object_of, tags_of
from fairtrial_graph_components.policies.refusal import Refused

logger = logging.getLogger(__name__)


class BadRequest(SeldonMicroserviceException):
    """A 400. Over gRPC the client reads what `str` gives, which is nothing in the class above."""

    def __str__(self) -> str:
        return self.message


def _answer(sentence: str, code: int) -> tuple[flask.Response, int]:
    return flask.jsonify(BadRequest(sentence).to_dict()), code


def _refusals() -> flask.Blueprint:
    """What the wrapper answers with 500 though the request is at fault."""
    blueprint = flask.Blueprint("refusals", __name__)

    @blueprint.app_errorhandler(json.JSONDecodeError)
    @blueprint.app_errorhandler(UnicodeDecodeError)
    @blueprint.app_errorhandler(RecursionError)
    def unreadable(error: Exception) -> tuple[flask.Response, int]:  # pyright: ignore[reportUnusedFunction]
        return _answer(f"the request is no JSON that can be read ({error})", 400)

    @blueprint.app_errorhandler(HTTPException)
    def http(error: HTTPException) -> tuple[flask.Response, int]:  # pyright: ignore[reportUnusedFunction]
        return _answer(str(error.description), error.code or 500)

    @blueprint.before_app_request
    def refuse_unreadable_rewards() -> None:  # pyright: ignore[reportUnusedFunction]
        # The wrapper adds the reward to its own counter before it asks the component, and a NaN stays there
        # for ever.
        if "feedback" in flask.request.path:
            feedback = flask.request.get_json(silent=True)
            if feedback is not None and not isinstance(feedback, dict):
                raise BadRequest("the feedback must be a JSON object")
            if feedback and isinstance(feedback.get("reward"), str | bool):
                raise BadRequest("reward must be a finite number, in JSON without quotes")

    return blueprint


class Component(SeldonComponent):
    def __init__(self) -> None:
        super().__init__()
        self.model_error_handler = _refusals()  # the wrapper registers it with its application


def raw(compute: Callable[[Any, Any], Message]) -> Any:
    """Makes of a method from JSON to JSON one of the wrapper's `*_raw`: from JSON or protobuf to the same."""

    @functools.wraps(compute)
    def call(self: Any, message: Any) -> Any:
        proto = hasattr(message, "DESCRIPTOR")
        try:
            reply = compute(self, json_format.MessageToDict(message) if proto else message)
            return proto_of(reply) if proto else reply
        except (Refused, json_format.Error) as error:
            raise BadRequest(str(error)) from None

    return call


def proto_of(reply: Message) -> Any:
    for metric in reply.get("meta", {}).get("metrics", ()):
        # The wrapper reads metrics back from a JSON that leaves zeros out, and fails without a value.
        metric["value"] = metric["value"] or float(np.finfo(np.float32).tiny)
    if "outputs" in reply or "inputs" in reply:
        reply = {"jsonData": reply}
    return json_format.ParseDict(reply, prediction_pb2.SeldonMessage())


def meta(message: object, *, tags: Message | None = None, metrics: list[Message] | None = None) -> Message:
    """A reply's meta: that of the message, with tags and metrics of our own and our place in the path."""
    kept = meta_of(message)
    made: Message = {name: kept[name] for name in ("puid", "routing") if name in kept}
    made["tags"] = {**tags_of(message), **(tags or {})}
    path = object_of(kept.get("requestPath") or {}, "meta.requestPath")
    made["requestPath"] = {**path, **get_request_path()}
    if metrics:
        made["metrics"] = metrics
    return made


def counter(key: str, value: float, **tags: str) -> Message:
    return {"type": "COUNTER", "key": key, "value": value, "tags": tags}


def gauge(key: str, value: float, **tags: str) -> Message:
    return {"type": "GAUGE", "key": key, "value": value, "tags": tags}
