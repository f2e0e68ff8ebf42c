"""Messages in JSON, as they go over REST. Pure."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fairtrial_graphs.backends.local.executor.messages import ALL_CHILDREN, BadMessage, Message


@dataclass(frozen=True)
class JsonPayloads:
    protocol: Literal["seldon", "v2"]

    def chained(self, message: Message) -> Message:
        if self.protocol == "seldon":
            return message
        content = _object(message)
        if "inputs" in content:
            return message
        if "outputs" not in content:
            raise BadMessage("Failed to convert kfserving response so it could be chained to new input")
        content["inputs"] = content.pop("outputs")
        return Message(json.dumps(content).encode(), message.content_type)

    def combined(self, messages: Sequence[Message]) -> Message:
        for message in messages:
            try:
                json.loads(_plain(message))
            except (ValueError, OSError, EOFError) as error:
                raise BadMessage("Data is not JSON") from error
        return Message(
            b"[" + b",".join(_plain(message) for message in messages) + b"]", messages[0].content_type
        )

    def route_in(self, message: Message) -> int:
        values = parsed(message)
        if isinstance(values, dict):
            data = values.get("data")
            data = data if isinstance(data, dict) else {}
            if "ndarray" in data:
                values = data["ndarray"]
            elif isinstance(data.get("tensor"), dict):
                values = data["tensor"].get("values")
            else:
                return ALL_CHILDREN
        try:
            first = values[0]
            return int(first[0] if isinstance(first, list) else first)
        except (TypeError, ValueError, IndexError, KeyError) as error:
            raise BadMessage(f"a router answered with no branch: {message.body[:200]!r}") from error

    def route_of_feedback(self, message: Message, node: str) -> int:
        try:
            return int(_object(message)["response"]["meta"]["routing"][node])
        except (BadMessage, KeyError, TypeError, ValueError):
            return ALL_CHILDREN

    def with_routing(self, message: Message, routing: Mapping[str, int]) -> Message:
        """As it was if it has no `meta` or is no JSON."""
        try:
            content = _object(message)
        except BadMessage:
            return message
        if not isinstance(content.get("meta"), dict):
            return message
        content["meta"]["routing"] = dict(routing)
        return Message(json.dumps(content).encode(), message.content_type)

    def simple_model(self) -> Message:
        values, names = [0.1, 0.9, 0.5], ["class0", "class1", "class2"]
        if self.protocol == "seldon":
            answer: dict[str, Any] = {
                "meta": {},
                "data": {"names": names, "tensor": {"shape": [1, len(values)], "values": values}},
            }
        else:
            output = {"name": "output", "datatype": "FP64", "shape": [1, len(values)], "data": values}
            answer = {"model_name": "SIMPLE_MODEL", "outputs": [output]}
        return Message(json.dumps(answer).encode())

    def averaged(self, messages: Sequence[Message]) -> Message:
        contents = [_object(message) for message in messages]
        try:
            if self.protocol == "seldon":
                data = [content["data"] for content in contents]
                if "tensor" in data[0]:
                    data[0]["tensor"]["values"] = _mean([one["tensor"]["values"] for one in data])
                else:
                    data[0]["ndarray"] = _mean([one["ndarray"] for one in data])
            else:
                for index, output in enumerate(contents[0]["outputs"]):
                    output["data"] = _mean([content["outputs"][index]["data"] for content in contents])
                    output["datatype"] = "FP64"
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise BadMessage("the answers to average are not numbers of one shape") from error
        return Message(json.dumps(contents[0]).encode(), messages[0].content_type)


def escaped(body: bytes) -> bytes:
    """JSON that may stand inside HTML, as the executor writes all its answers."""
    for raw, escape in _ESCAPES:
        if raw in body:
            body = body.replace(raw, escape)
    return body


_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


def _mean(values: Sequence[Any]) -> Any:
    if isinstance(values[0], list):
        return [_mean(list(together)) for together in zip(*values, strict=True)]
    return sum(values) / len(values)


def _plain(message: Message) -> bytes:
    return gzip.decompress(message.body) if message.encoding == "gzip" else message.body


def parsed(message: Message) -> Any:
    """Raises BadMessage."""
    try:
        return json.loads(_plain(message))
    except (ValueError, OSError, EOFError) as error:
        raise BadMessage(f"invalid JSON: {error}") from error


def _object(message: Message) -> dict[str, Any]:
    content = parsed(message)
    if not isinstance(content, dict):
        raise BadMessage("the payload is JSON, but not an object")
    return content
