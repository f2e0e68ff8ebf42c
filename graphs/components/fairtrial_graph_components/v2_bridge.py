"""`fairtrial_graph_components.v2_bridge.V2Bridge`, a TRANSFORMER or an OUTPUT_TRANSFORMER."""

from __future__ import annotations

from typing import Any, cast

from fairtrial_graph_components.component import Component, meta, raw
from fairtrial_graph_components.parameters import Parameters
from fairtrial_graph_components.policies.open_inference import REAL, TAG, WHOLE, seldon_of, v2_of, v2_part
from fairtrial_graph_components.policies.payloads import Message, payload_of
from fairtrial_graph_components.router import unit_id


class V2Bridge(Component):
    """Makes of what comes the protocol that `to` names; what is of that protocol already passes unchanged.

    A V2 body is the message itself over REST. Over gRPC it is the jsonData of a message."""

    def __init__(self, **given: object) -> None:
        super().__init__()
        parameters = Parameters(given)
        self._to = parameters.choice("to", ("seldon", "v2"))
        self._model = parameters.text("model_name") or unit_id()
        self._datatype = parameters.text("datatype")
        if self._datatype and self._datatype not in (*WHOLE, *REAL, "BOOL", "BYTES"):
            parameters.refuse(f"parameter datatype is {self._datatype!r}, which V2 does not have")
        parameters.done()

    @raw
    def transform_input_raw(self, message: Any) -> Message:
        return self._bridge(message, "inputs")

    @raw
    def transform_output_raw(self, message: Any) -> Message:
        return self._bridge(message, "outputs")

    def _bridge(self, message: Any, field: str) -> Message:
        body = v2_part(message)
        if self._to == "v2":
            if body is not None:
                return cast(Message, body)
            return v2_of(message, field=field, model=self._model, datatype=self._datatype)
        if body is None:
            payload_of(message)
            return {**message, "meta": meta(message)}
        payload, remembered = seldon_of(body)
        # Of a V2 body `meta` is no part; of a message around one it is.
        around = {} if body is message else message
        return {**payload.message(), "meta": meta(around, tags={TAG: remembered})}
