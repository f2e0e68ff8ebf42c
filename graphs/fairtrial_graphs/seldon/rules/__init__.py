"""What makes a SeldonDeployment wrong: one small function a rule, each giving sentences.

What is `refused` fails at Seldon Core's admission webhook (v1.17.1, `seldondeployment_webhook.go`), at the
Kubernetes API, or when Seldon Core makes Kubernetes' objects of it. The rest is accepted, and then something
is lost: the sentence says what.
"""

from __future__ import annotations

from fairtrial_graphs.seldon.rules import names, nodes, protocol, traffic
from fairtrial_graphs.seldon.rules.finding import Finding, Rule
from fairtrial_graphs.seldon.rules.names import LONGEST_NAME
from fairtrial_graphs.seldon.rules.nodes import EXECUTOR_IMPLEMENTATIONS, NEED_NO_MODEL
from fairtrial_graphs.seldon.rules.protocol import ROUTING_INJECTION
from fairtrial_graphs.seldon.types import SeldonDeployment

__all__ = [
    "EXECUTOR_IMPLEMENTATIONS",
    "LONGEST_NAME",
    "NEED_NO_MODEL",
    "ROUTING_INJECTION",
    "RULES",
    "Finding",
    "check",
]

RULES: tuple[Rule, ...] = (
    traffic.has_predictors,
    traffic.distinct_predictor_names,
    traffic.distinct_service_names,
    traffic.traffic_is_a_percentage,
    traffic.traffic_sums_to_100,
    traffic.one_predictor_has_all_traffic,
    traffic.at_most_one_shadow,
    traffic.shadow_is_not_alone,
    traffic.shadow_says_how_much,
    nodes.every_node_can_run,
    nodes.implementations_are_known,
    nodes.types_and_methods_are_known,
    nodes.random_ab_test_has_two_children,
    nodes.graphs_are_not_too_deep,
    nodes.logger_has_a_mode,
    protocol.routers_and_combiners_speak_seldon,
    protocol.feedback_finds_its_branch,
    protocol.servers_speak_the_protocol,
    protocol.one_transport,
    protocol.kafka_is_said_in_full,
    protocol.no_engine_serves_one_node,
    names.distinct_node_names,
    names.names_are_dns_labels,
    names.services_begin_with_a_letter,
    names.containers_have_short_names,
    names.names_are_short,
    nodes.quantities_are_no_fractions,
    nodes.reserved_env_is_left_alone,
)


def check(deployment: SeldonDeployment) -> tuple[Finding, ...]:
    """Every finding of every rule, in the rules' order."""
    return tuple(finding for rule in RULES for finding in rule(deployment))
