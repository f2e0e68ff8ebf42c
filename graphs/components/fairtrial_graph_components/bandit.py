"""A router that learns from rewards: a policy, the ledger of its counts, and feedback."""

from __future__ import annotations

import os
from typing import Any

import flask
import numpy as np

from fairtrial_graph_components.component import BadRequest, counter, gauge, proto_of, raw
from fairtrial_graph_components.parameters import Parameters
from fairtrial_graph_components.policies.arms import Arms, Policy
from fairtrial_graph_components.policies.payloads import Message, object_of
from fairtrial_graph_components.policies.refusal import Refused
from fairtrial_graph_components.router import Router, branch_of, place, unit_id
from fairtrial_graph_components.state.ledger import Ledger
from fairtrial_graph_components.state.store import open_store

SUMS = ("rewards", "total", "squares", "successes", "failures")


class Bandit(Router):
    def __init__(self, parameters: Parameters, policy: Policy) -> None:
        super().__init__(parameters)
        self._policy = policy
        seed = parameters.whole("seed", -1, -1)
        self._seed = None if seed < 0 else seed
        self._missing_is_zero = parameters.choice("missing_reward", ("refuse", "zero")) == "zero"
        given = parameters.text("state")
        if "@" in given:
            parameters.refuse(
                "parameter state has a password in it: set FAIRTRIAL_STATE from a Secret instead"
            )
        self._state = given or os.environ.get("FAIRTRIAL_STATE", "")
        self._name = parameters.text("state_name") or place()
        parameters.done()
        try:
            open_store(self._state, self._name)
        except ValueError as error:
            parameters.refuse(f"parameter state: {error}")

    def load(self) -> None:
        """Called in each process that serves, after the fork."""
        self._random = np.random.default_rng(self._seed)
        self._chances = np.full(len(self.branches), 1 / len(self.branches))
        self._ledger = Ledger(open_store(self._state, self._name), self._refresh)
        self._ledger.start()

    @raw
    def route_raw(self, message: Any) -> Message:
        branch = int(self._policy.choose(self._arms(), self._random))
        chance = float(self._chances[branch])
        self._ledger.add({f"{self.branches[branch]}:requests": 1.0})
        metrics = [
            gauge("fairtrial_router_probability", float(each), branch=name)
            for name, each in zip(self.branches, self._chances, strict=True)
        ]
        return self.routed(message, branch, tags={f"{unit_id()}.probability": chance}, metrics=metrics)

    def send_feedback_raw(self, feedback: Any) -> Any:
        try:
            return proto_of(self._learn(feedback))
        except Refused as error:
            raise BadRequest(str(error)) from None

    def _learn(self, feedback: Any) -> Message:
        self._demand_reward()
        routing = {"response": {"meta": {"routing": dict(feedback.response.meta.routing)}}}
        branch = branch_of(routing)
        if branch is None or not 0 <= branch < len(self.branches):
            raise Refused(
                f"response.meta.routing must say which of the {len(self.branches)} branches of {unit_id()} "
                "answered: send the response as it came (the executor needs SELDON_ENABLE_ROUTING_INJECTION)"
            )
        name = self.branches[branch]
        learnt = self._policy.learnt(float(feedback.reward), self._random)
        self._ledger.add({f"{name}:{quantity}": value for quantity, value in learnt.items()})
        mean = float(self._arms().mean[branch])
        metrics = [
            counter("fairtrial_router_rewards", 1, branch=name),
            gauge("fairtrial_router_reward_mean", mean, branch=name),
        ]
        return {"meta": {"puid": feedback.response.meta.puid, "metrics": metrics}}

    def _demand_reward(self) -> None:
        """A reward that is missing is 0 in protobuf: only the JSON tells the two apart."""
        if not self._missing_is_zero and flask.has_request_context():
            sent = object_of(flask.request.get_json(silent=True), "the feedback")
            if sent.get("reward") is None:
                raise Refused("reward is missing: send 0 for a failure")

    def _arms(self) -> Arms:
        counts = self._ledger.counts()
        return Arms(
            *(np.array([counts.get(f"{name}:{each}", 0.0) for name in self.branches]) for each in SUMS)
        )

    def _refresh(self) -> None:
        # A generator of its own: that of the requests is not made for two threads.
        self._chances = self._policy.probabilities(self._arms(), np.random.default_rng())
