"""What the executor reads in payloads and writes into them. Pure."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ALL_CHILDREN = -1
NO_CHILD = -2


@dataclass(frozen=True)
class Message:
    body: bytes
    content_type: str = "application/json"
    encoding: str = ""  # Content-Encoding


class BadMessage(ValueError):
    """A payload that the executor must read and cannot; the message is the answer's `info`."""


def chained(message: Message, protocol: str) -> Message:
    """What the next node gets: with v2, the outputs of the last one as inputs. Raises BadMessage."""
    if protocol == "seldon":
        return message
    content = _object(message)
    if "inputs" in content:
        return message
    if "outputs" not in content:
        raise BadMessage("Failed to convert kfserving response so it could be chained to new input")
    content["inputs"] = content.pop("outputs")
    return Message(json.dumps(content).encode(), message.content_type)


def combined(messages: Sequence[Message]) -> Message:
    """The JSON list of answers that a combiner gets. Raises BadMessage."""
    for message in messages:
        try:
            json.loads(_plain(message))
        except ValueError as error:
            raise BadMessage("Data is not JSON") from error
    return Message(b"[" + b",".join(_plain(message) for message in messages) + b"]", messages[0].content_type)


def route_in(message: Message) -> int:
    """The branch that a router's answer names: the first number of its data. Raises BadMessage."""
    values = _parsed(message)
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


def route_of_feedback(message: Message, node: str) -> int:
    """The branch that the answer took at this node, as the feedback's response says; else all of them."""
    try:
        return int(_object(message)["response"]["meta"]["routing"][node])
    except (BadMessage, KeyError, TypeError, ValueError):
        return ALL_CHILDREN


def with_routing(message: Message, routing: Mapping[str, int]) -> Message:
    """The answer with `meta.routing`; as it was if it has no `meta` or is no JSON."""
    try:
        content = _object(message)
    except BadMessage:
        return message
    if not isinstance(content.get("meta"), dict):
        return message
    content["meta"]["routing"] = dict(routing)
    return Message(json.dumps(content).encode(), message.content_type)


def simple_model(protocol: str) -> Message:
    """What SIMPLE_MODEL answers to everything."""
    values, names = [0.1, 0.9, 0.5], ["class0", "class1", "class2"]
    if protocol == "seldon":
        answer: dict[str, Any] = {
            "meta": {},
            "data": {"names": names, "tensor": {"shape": [1, len(values)], "values": values}},
        }
    else:
        output = {"name": "output", "datatype": "FP64", "shape": [1, len(values)], "data": values}
        answer = {"model_name": "SIMPLE_MODEL", "outputs": [output]}
    return Message(json.dumps(answer).encode())


def averaged(messages: Sequence[Message], protocol: str) -> Message:
    """The first answer with the mean of all in place of its numbers. Raises BadMessage."""
    contents = [_object(message) for message in messages]
    try:
        if protocol == "seldon":
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


def _parsed(message: Message) -> Any:
    try:
        return json.loads(_plain(message))
    except (ValueError, OSError, EOFError) as error:
        raise BadMessage(f"invalid JSON: {error}") from error


def _object(message: Message) -> dict[str, Any]:
    content = _parsed(message)
    if not isinstance(content, dict):
        raise BadMessage("the payload is JSON, but not an object")
    return content
