"""`fairtrial_graph_components.average.Average`, a COMBINER."""

from __future__ import annotations

from collections.abc import Sequence

from fairtrial_graph_components.combiner import Combiner
from fairtrial_graph_components.parameters import Parameters
from fairtrial_graph_components.policies.combining import average
from fairtrial_graph_components.policies.payloads import Payload


class Average(Combiner):
    def __init__(self, **given: object) -> None:
        super().__init__()
        parameters = Parameters(given)
        self._weights = parameters.weights("weights")
        parameters.done()

    def combine(self, answers: Sequence[Payload]) -> Payload:
        return average(answers, self._weights)
