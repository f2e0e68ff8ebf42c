"""`fairtrial_graph_components.hash_sticky.HashSticky`, a ROUTER that keeps each unit on its branch."""

from __future__ import annotations

import random
from typing import Any

import flask

from fairtrial_graph_components.component import raw
from fairtrial_graph_components.parameters import Parameters
from fairtrial_graph_components.policies.payloads import Message, object_of, tags_of
from fairtrial_graph_components.policies.refusal import Refused
from fairtrial_graph_components.policies.sticky import arm_of
from fairtrial_graph_components.router import Router, place, unit_id


class HashSticky(Router):
    def __init__(self, **given: object) -> None:
        parameters = Parameters(given)
        super().__init__(parameters)
        self._weights = parameters.weights("weights") or [1.0] * len(self.branches)
        if len(self._weights) != len(self.branches):
            parameters.refuse(f"parameter weights must be {len(self.branches)} numbers, one for each branch")
        self._header = parameters.text("header")
        self._tag = parameters.text("tag")
        self._field = parameters.text("field")
        if not (self._header or self._tag or self._field):
            parameters.refuse("a parameter must say where the unit is: header, tag or field")
        self._missing = parameters.choice("missing_unit", ("first", "random", "refuse"))
        self._salt = parameters.text("salt") or place()
        parameters.done()

    @raw
    def route_raw(self, message: Any) -> Message:
        unit = self._unit(message)
        if unit is not None:
            branch = arm_of(unit, names=self.branches, weights=self._weights, salt=self._salt)
        elif self._missing == "refuse":
            raise Refused(f"the request names no unit ({self._places()})")
        elif self._missing == "first":
            branch = 0
        else:
            branch = random.choices(range(len(self.branches)), self._weights)[0]
        return self.routed(message, branch, tags={f"{unit_id()}.sticky": unit is not None}, metrics=[])

    def _unit(self, message: object) -> str | None:
        """Looked for in the header, then the tag, then the field."""
        found: object = None
        if self._header and flask.has_request_context():
            found = flask.request.headers.get(self._header)
        if found in (None, "") and self._tag:
            found = tags_of(message).get(self._tag)
        if found in (None, "") and self._field:
            found = object_of(message, "the message")
            for name in self._field.split("."):
                found = found.get(name) if isinstance(found, dict) else None  # pyright: ignore[reportUnknownMemberType]
        if found in (None, ""):
            return None
        # gRPC has doubles only: 7 and 7.0 are the same unit.
        if isinstance(found, float) and found.is_integer():
            found = int(found)
        if isinstance(found, bool) or not isinstance(found, str | int | float):
            raise Refused(f"the unit must be a string or a number ({self._places()})")
        return str(found)

    def _places(self) -> str:
        places = (("header", self._header), ("meta.tags", self._tag), ("field", self._field))
        return ", ".join(f"{kind} {name}" for kind, name in places if name)
