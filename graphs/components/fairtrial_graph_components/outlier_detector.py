"""`fairtrial_graph_components.outlier_detector.OutlierDetector`, a TRANSFORMER that tags what it passes
on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fairtrial_graph_components.component import Component, counter, meta, raw
from fairtrial_graph_components.parameters import Parameters
from fairtrial_graph_components.policies.outliers import Detector, detector_of
from fairtrial_graph_components.policies.payloads import Message, number_of, payload_of, shape_of
from fairtrial_graph_components.policies.refusal import Refused


class OutlierDetector(Component):
    def __init__(self, **given: object) -> None:
        super().__init__()
        parameters = Parameters(given)
        path = Path(parameters.text("path", "/mnt/models/outliers.json"))
        parameters.done()
        try:
            self._detector: Detector = detector_of(json.loads(path.read_text()))
        except OSError as error:
            parameters.refuse(
                f"{path} cannot be read ({error.strerror}): make it with fairtrial-fit-outliers"
            )
        except ValueError as error:
            parameters.refuse(f"{path} is of no use ({error}): make it with fairtrial-fit-outliers")

    @raw
    def transform_input_raw(self, message: Any) -> Message:
        payload = payload_of(message)
        if payload.kind not in ("ndarray", "tensor"):
            raise Refused(f"{payload.kind} has no rows of numbers: send data.ndarray or data.tensor")
        names = self._detector.names
        if payload.names and names and tuple(payload.names) != names:
            raise Refused(f"data.names must be {', '.join(names)}, in this order")
        shape = shape_of(payload.value)
        if len(shape) != 2:
            raise Refused(f"the data must be rows of numbers, and has the shape {list(shape)}")
        rows = np.array([[number_of(cell) for cell in row] for row in payload.value], float)
        scores = self._detector.scores(rows.reshape(shape))
        flagged = scores > self._detector.threshold
        tags = {"outlier_score": scores.tolist(), "is_outlier": flagged.tolist()}
        metrics = [
            counter("fairtrial_outlier_rows", len(scores)),
            counter("fairtrial_outlier_flagged", int(flagged.sum())),
        ]
        return {**message, "meta": meta(message, tags=tags, metrics=metrics)}
