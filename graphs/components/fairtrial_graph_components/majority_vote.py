"""`fairtrial_graph_components.majority_vote.MajorityVote`, a COMBINER."""

from __future__ import annotations

from collections.abc import Sequence

from fairtrial_graph_components.combiner import Combiner
from fairtrial_graph_components.parameters import Parameters
from fairtrial_graph_components.policies.combining import majority
from fairtrial_graph_components.policies.payloads import Payload


class MajorityVote(Combiner):
    def __init__(self, **given: object) -> None:
        super().__init__()
        parameters = Parameters(given)
        self._weights = parameters.weights("weights")
        self._scores = parameters.choice("votes", ("labels", "scores")) == "scores"
        parameters.done()

    def combine(self, answers: Sequence[Payload]) -> Payload:
        return majority(answers, self._weights, scores=self._scores)
