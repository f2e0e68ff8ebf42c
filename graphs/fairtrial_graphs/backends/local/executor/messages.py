"""The messages that go through a graph, and what the executor reads in them and writes into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

#: What a message is to the request log.
Kind = Literal["request", "response", "feedback"]

ALL_CHILDREN = -1
NO_CHILD = -2


@dataclass(frozen=True)
class Message:
    body: bytes
    content_type: str = "application/json"
    encoding: str = ""  # Content-Encoding
    answered: bool = False  # by a node, over gRPC with v2: the bytes do not tell requests from answers


class BadMessage(ValueError):
    """A payload that the executor must read and cannot; the message is the answer's `info`."""


class Payloads(Protocol):
    """How messages are read and written: JSON over REST, protobuf over gRPC. Each may raise BadMessage."""

    def chained(self, message: Message) -> Message:
        """What the next node gets: with v2, the outputs of the last one as inputs."""
        ...

    def combined(self, messages: Sequence[Message]) -> Message:
        """The list of answers that a combiner gets."""
        ...

    def route_in(self, message: Message) -> int:
        """The branch that a router's answer names: the first number of its data."""
        ...

    def route_of_feedback(self, message: Message, node: str) -> int:
        """The branch that the answer took at this node, as the feedback's response says; else all of them."""
        ...

    def with_routing(self, message: Message, routing: Mapping[str, int]) -> Message:
        """The answer with `meta.routing`; with v2, which has no meta, as it was."""
        ...

    def simple_model(self) -> Message:
        """What SIMPLE_MODEL answers to everything."""
        ...

    def averaged(self, messages: Sequence[Message], /) -> Message:
        """The first answer with the mean of all in place of its numbers."""
        ...
