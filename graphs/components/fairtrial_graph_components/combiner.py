"""What the combiners have in common: the answers of the children as payloads, and their meta as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from fairtrial_graph_components.component import Component, meta, raw
from fairtrial_graph_components.policies.payloads import Message, Payload, meta_of, payload_of
from fairtrial_graph_components.policies.refusal import Refused


class Combiner(Component):
    def combine(self, answers: Sequence[Payload]) -> Payload:
        raise NotImplementedError

    @raw
    def aggregate_raw(self, messages: Any) -> Message:
        if isinstance(messages, dict):
            messages = cast(Message, messages).get("seldonMessages")
        if not isinstance(messages, list) or not messages:
            raise Refused("the request must be a list of messages, one for each child")
        answers = cast(list[Any], messages)
        combined = self.combine([payload_of(answer) for answer in answers])
        return {**combined.message(), "meta": meta({"meta": _merged(answers)})}


def _merged(answers: Sequence[Any]) -> Message:
    merged: Message = {}
    for answer in answers:
        for name, value in meta_of(answer).items():
            if name == "puid":
                merged.setdefault(name, value)
            elif name in ("tags", "requestPath", "routing"):
                if not isinstance(value, dict):
                    raise Refused(f"meta.{name} must be a JSON object")
                merged[name] = {**merged.get(name, {}), **cast(Message, value)}
    return merged
