"""Envoy's configuration as plain data: pure functions from what should be served to xDS resources.

Names. A *cluster* is one run of one predictor's model server; a replacement is a cluster of its own, so that
the requests under way end where they began. Each predictor has a listener (its own address), and one more
listener splits the traffic.

The V2 path names a model, and each arm's model has a name of its own, which the caller of the split cannot
know. So a cluster carries its node's name as metadata, and a route rewrites the name in the path from the
metadata of the cluster that was drawn. `/v2/models/infer`, Seldon's path without a name, works likewise.
A gRPC call names its model inside the message, where a proxy cannot put another: there the node's name goes
along as metadata, which our server prefers to the message.

Ports do not change while Envoy runs, and nothing here sets SO_REUSEPORT: with it, two Envoys would silently
share a port.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairtrial_graphs.backends.interface import ARM_HEADER, REVISION_HEADER, HeaderMatch, Sticky
from fairtrial_graphs.backends.local import stickiness
from fairtrial_graphs.backends.local.access_log import logging
from fairtrial_graphs.backends.local.slots import runs

#: Metadata of a gRPC call by which our server takes another model than the message names.
MODEL_HEADER = "x-fairtrial-model"

#: The split answers here itself, with its revision as the body.
REVISION_PATH = "/fairtrial/revision"

SPLIT = "split"

_HOST = "127.0.0.1"
TYPE = "type.googleapis.com/envoy"
_METADATA = "fairtrial"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

# MLServer's HTTP server (uvicorn) closes connections that were idle for 5 s; Envoy must do so before, or it
# would now and then send a request into a connection that is just being closed.
_IDLE = "3s"
# Envoy's own limits (1,024) would make failures that are not the model's.
_NO_LIMIT = 1_000_000_000
# A shadow that hangs would else use up Envoy's memory and open files (three a copy), until answers fail.
_MOST_COPIES = 1_000


@dataclass(frozen=True)
class Upstream:
    """The model servers of a predictor, of which each request goes to one."""

    cluster: str
    predictor: str
    node: str
    ports: tuple[int, ...]
    grpc_ports: tuple[int, ...] = ()  # none: REST only


@dataclass(frozen=True)
class ArmListener:
    """A predictor's own address, and where it leads."""

    predictor: str
    port: int
    upstream: Upstream


@dataclass(frozen=True)
class SplitRoute:
    weights: Mapping[str, int]  # by predictor, in the manifest's order; sums to 100
    revision: str
    sticky: Sticky | None = None
    matches: Sequence[HeaderMatch] = ()
    timeout: float = 0.0  # seconds; 0: none
    retries: int = 0
    mirror: str | None = None  # predictor
    mirror_percent: int = 100


def bootstrap(admin_port: int, folder: str) -> dict[str, Any]:
    """What Envoy starts with: where it is asked questions, and the files that say the rest."""
    return {
        "node": {"id": "fairtrial", "cluster": "fairtrial"},
        "admin": {"address": _address(admin_port)},
        "dynamic_resources": {"cds_config": _file(folder, "cds"), "lds_config": _file(folder, "lds")},
    }


def clusters(arms: Sequence[ArmListener]) -> list[dict[str, Any]]:
    """A cluster for each model server, and one that leads back to each arm's own listener, for mirrors.

    Of two arms with the same cluster the later one tells where it is now.
    """
    upstreams = {arm.upstream.cluster: arm.upstream for arm in arms}
    mirrors = {arm.predictor: arm.port for arm in arms}
    return [
        *(_cluster(name, upstream.ports, {"node": upstream.node}) for name, upstream in upstreams.items()),
        *(
            _cluster(grpc_cluster(name), upstream.grpc_ports, {}, http=2)
            for name, upstream in upstreams.items()
            if upstream.grpc_ports
        ),
        *(
            _cluster(_mirror_cluster(predictor), (port,), {}, most=_MOST_COPIES)
            for predictor, port in mirrors.items()
        ),
    ]


def grpc_cluster(cluster: str) -> str:
    """The cluster of the same model servers that gRPC calls go to."""
    return f"{cluster}@grpc"


def listeners(
    split_port: int,
    arms: Sequence[ArmListener],
    folder: str,
    *,
    sticky: Sticky | None = None,
    access_log: str | None = None,
) -> list[dict[str, Any]]:
    """The split's listener, which may write an access log, and one for each predictor among the arms."""
    own = {arm.predictor: arm.port for arm in arms}
    more = stickiness.listening(sticky)
    filters: list[dict[str, Any]] = []
    if access_log is not None:
        more = {**more, "access_log": [logging(access_log, sticky)]}
        filters = stickiness.filters(sticky)
    return [
        _listener(SPLIT, split_port, folder, filters, more),
        *(_listener(arm_route(predictor), port, folder, [], {}) for predictor, port in own.items()),
    ]


def arm_route(predictor: str) -> str:
    """Name of the route configuration, and of the listener, of this predictor's own address."""
    return f"arm-{predictor}"


def arm_routes(arm: ArmListener) -> dict[str, Any]:
    """The route configuration of an arm's own address."""
    to = arm.upstream
    routes = _routes({"cluster": to.cluster}, {})
    if to.grpc_ports:
        calls = {
            "match": {"prefix": "/", "grpc": {}},
            "route": _patient({"cluster": grpc_cluster(to.cluster)}),
            "request_headers_to_add": [_header(MODEL_HEADER, to.node)],
        }
        routes = [calls, *routes]
    return {
        "name": arm_route(arm.predictor),
        "response_headers_to_add": [_header(ARM_HEADER, arm.predictor)],
        "virtual_hosts": [_virtual_host(routes)],
    }


def split_routes(split: SplitRoute, arms: Sequence[ArmListener]) -> dict[str, Any]:
    """The route configuration of the split.

    Routes by weight are named after the revision, and their answers carry it. Those by a header's value have
    no name: what goes that way was not drawn.
    """
    to = {arm.predictor: arm.upstream for arm in arms}
    infer: dict[str, Any] = {}
    if split.mirror:
        fraction = {"default_value": {"numerator": split.mirror_percent, "denominator": "HUNDRED"}}
        infer["request_mirror_policies"] = [
            {
                # By way of the shadow's own address, whose route puts the shadow's node name in the path.
                "cluster": _mirror_cluster(split.mirror),
                "runtime_fraction": fraction,
                "disable_shadow_host_suffix_append": True,
            }
        ]
    matched = [
        stickiness.when(route, {"name": match.header, "string_match": {"exact": match.value}})
        for match in split.matches
        for route in _ways({match.predictor: 100}, to, infer)
    ]
    drawn = [
        {
            **route,
            "name": split.revision,
            "response_headers_to_add": [_header(REVISION_HEADER, split.revision)],
        }
        for route in _ways(split.weights, to, infer)
    ]
    revision = {
        "match": {"path": REVISION_PATH},
        "direct_response": {"status": 200, "body": {"inline_string": split.revision}},
    }
    routes = [_bounded(route, split) for route in [*matched, *stickiness.sticky_routes(drawn, split.sticky)]]
    return {"name": SPLIT, "virtual_hosts": [_virtual_host([revision, *routes])]}


def _ways(
    weights: Mapping[str, int], to: Mapping[str, Upstream], infer: dict[str, Any]
) -> list[dict[str, Any]]:
    """Routes by weight: of gRPC, where each of these arms speaks it, and of all else."""
    drawn = runs(weights)
    rest = _routes(_weighted([_share(to[arm].cluster, arm, slots) for arm, slots in drawn]), infer)
    if not all(to[arm].grpc_ports for arm, _ in drawn):
        return rest
    calls = [
        {
            **_share(grpc_cluster(to[arm].cluster), arm, slots),
            "request_headers_to_add": [_header(MODEL_HEADER, to[arm].node)],
        }
        for arm, slots in drawn
    ]
    return [{"match": {"prefix": "/inference.", "grpc": {}}, "route": _patient(_weighted(calls))}, *rest]


def _weighted(shares: list[dict[str, Any]]) -> dict[str, Any]:
    return {"weighted_clusters": {"clusters": shares, "use_hash_policy": True}}


def _share(cluster: str, predictor: str, weight: int) -> dict[str, Any]:
    arm = _header(ARM_HEADER, predictor)
    return {"name": cluster, "weight": weight, "response_headers_to_add": [arm]}


def _bounded(route: dict[str, Any], split: SplitRoute) -> dict[str, Any]:
    """The route with the split's timeout and retries."""
    more: dict[str, Any] = {}
    if split.timeout:
        more["timeout"] = f"{split.timeout:.9f}".rstrip("0").rstrip(".") + "s"
    if split.retries:
        conditions = "connect-failure,refused-stream,reset,gateway-error"
        more["retry_policy"] = {"retry_on": conditions, "num_retries": split.retries}
    return {**route, "route": {**route["route"], **more}}


def _routes(action: dict[str, Any], infer: dict[str, Any]) -> list[dict[str, Any]]:
    """The V2 paths that name a model, then all else; `infer` is added to those that infer."""
    name = f"/v2/models/%METADATA(CLUSTER:{_METADATA}:node)%"
    return [
        _route("/v2/models/(?:[^/]+/)?infer", {**action, **infer, "path_rewrite": f"{name}/infer"}),
        _route("/v2/models/[^/]+/ready", {**action, "path_rewrite": f"{name}/ready"}),
        _route("/v2/models/[^/]+", {**action, "path_rewrite": name}),
        _route("/api/v[0-9.]+/predictions", {**action, **infer}),
        {"match": {"prefix": "/"}, "route": _patient(action)},
    ]


def _route(path: str, action: dict[str, Any]) -> dict[str, Any]:
    return {"match": {"safe_regex": {"regex": path}}, "route": _patient(action)}


def _patient(action: dict[str, Any]) -> dict[str, Any]:
    # How long an answer may take is the caller's to say; Envoy's own 15 s would count as the model's failure.
    return {**action, "timeout": "0s"}


def _virtual_host(routes: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": "all", "domains": ["*"], "routes": routes}


def _header(name: str, value: str) -> dict[str, Any]:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _mirror_cluster(predictor: str) -> str:
    return f"{predictor}@mirror"


def _cluster(
    name: str, ports: Sequence[int], metadata: dict[str, str], *, http: int = 1, most: int = _NO_LIMIT
) -> dict[str, Any]:
    """`most` is the number of requests that may be under way."""
    endpoints = [{"endpoint": _endpoint(ports, number)} for number in range(len(ports))]
    options = {
        "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
        "explicit_http_config": {"http_protocol_options" if http == 1 else "http2_protocol_options": {}},
        "common_http_protocol_options": {"idle_timeout": _IDLE},
    }
    limits = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "metadata": {"filter_metadata": {_METADATA: metadata}},
        "circuit_breakers": {"thresholds": [dict.fromkeys(limits, most)]},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        "typed_extension_protocol_options": {_HTTP_OPTIONS: options},
        **_between(len(ports)),
    }


def _endpoint(ports: Sequence[int], number: int) -> dict[str, Any]:
    """A replica; where it does not take a connection, this is opened to the next one.

    Nothing has been sent by then: no request is sent twice.
    """
    others = [*ports[number + 1 :], *ports[:number]]
    more = {"additional_addresses": [{"address": _address(port)} for port in others]} if others else {}
    return {"address": _address(ports[number]), **more}


def _between(count: int) -> dict[str, Any]:
    """How requests are shared among so many replicas.

    One that breaks off connections is left out for a second, by when it is known whether its process has
    died; all can be, but the last. Whatever a model answers, also 500, is an answer.
    """
    if count == 1:
        return {}
    return {
        "lb_policy": "LEAST_REQUEST",
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},  # none goes to those left out
        "outlier_detection": {
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": 3,
            "enforcing_local_origin_success_rate": 0,
            "enforcing_consecutive_5xx": 0,
            "enforcing_success_rate": 0,
            "interval": "0.2s",
            "base_ejection_time": "1s",
            "max_ejection_time": "1s",
            "max_ejection_percent": -(-100 * (count - 1) // count),
        },
    }


def _listener(
    name: str, port: int, folder: str, before: list[dict[str, Any]], more: dict[str, Any]
) -> dict[str, Any]:
    manager: dict[str, Any] = {
        "@type": f"{TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "rds": {"route_config_name": name, "config_source": _file(folder, f"rds-{name}")},
        "generate_request_id": False,
        "server_header_transformation": "PASS_THROUGH",
        "stream_idle_timeout": "0s",
        **more,
        "http_filters": [
            *before,
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": f"{TYPE}.extensions.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                },
            },
        ],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "name": name,
        "address": _address(port),
        "enable_reuse_port": False,
        "filter_chains": [{"filters": filters}],
    }


def _file(folder: str, name: str) -> dict[str, Any]:
    return {"resource_api_version": "V3", "path_config_source": {"path": f"{folder}/{name}.json"}}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": _HOST, "port_value": port}}
