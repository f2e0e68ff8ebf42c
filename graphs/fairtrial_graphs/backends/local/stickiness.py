"""How Envoy keeps a caller on one arm: it hashes something of the request, and the hash falls into a slot.

What it hashes are headers, cookies and the query string. It draws the arm before the body has arrived, so a
field of the body cannot decide it.

Envoy's own cookies do not work with a split: where the cookie is missing it draws at random and sets none.
So each request is given a fresh key before its route is chosen; one that has no cookie is sent by that key,
and answered with a cookie of that value, by which the next one is sent the same way.
"""

from __future__ import annotations

import re
from typing import Any

from fairtrial_graphs.backends.interface import Cookie, Sticky

FRESH_HEADER = "x-fairtrial-key"
METADATA = "fairtrial.sticky"

_TYPE = "type.googleapis.com/envoy.extensions"


def sticky_routes(routes: list[dict[str, Any]], sticky: Sticky | None) -> list[dict[str, Any]]:
    """These routes of a split, drawn by the caller's key."""
    if sticky is None:
        return routes
    if sticky.header is not None:
        return _hashed(routes, {"header": {"header_name": sticky.header}})
    if sticky.key is not None:
        return _hashed(routes, {"query_parameter": {"name": sticky.key}})
    assert sticky.cookie is not None
    cookie = sticky.cookie
    here = {
        "name": "cookie",
        "string_match": {"safe_regex": {"regex": f"(.*; *)?{re.escape(cookie.name)}=[^;]+.*"}},
    }
    known = _hashed(routes, {"cookie": {"name": cookie.name}})
    new = _hashed(routes, {"header": {"header_name": FRESH_HEADER}})
    return [*(when(route, here) for route in known), *(_giving(route, cookie) for route in new)]


def when(route: dict[str, Any], header: dict[str, Any]) -> dict[str, Any]:
    """The route for requests that this header matcher takes as well."""
    match = route["match"]
    return {**route, "match": {**match, "headers": [*match.get("headers", ()), header]}}


def listening(sticky: Sticky | None) -> dict[str, Any]:
    """What the split's connection manager needs for it."""
    if sticky is None or sticky.cookie is None:
        return {}
    mutation = {
        "append": {
            "header": {"key": FRESH_HEADER, "value": "%UNIQUE_ID%"},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }
    }
    early = {
        "@type": f"{_TYPE}.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        "mutations": [mutation],
    }
    return {"early_header_mutation_extensions": [{"name": "fairtrial.key", "typed_config": early}]}


def filters(sticky: Sticky | None) -> list[dict[str, Any]]:
    """HTTP filters by which the access log learns a cookie's value."""
    if sticky is None or sticky.cookie is None:
        return []
    rule = {
        "cookie": sticky.cookie.name,
        "on_header_present": {"metadata_namespace": METADATA, "key": "unit", "type": "STRING"},
    }
    config = {"@type": f"{_TYPE}.filters.http.header_to_metadata.v3.Config", "request_rules": [rule]}
    return [{"name": "envoy.filters.http.header_to_metadata", "typed_config": config}]


def unit_fields(sticky: Sticky | None) -> dict[str, str]:
    """Fields of an access log that tell the caller's key."""
    if sticky is None:
        return {}
    if sticky.header is not None:
        return {"unit": f"%REQ({sticky.header})%"}
    if sticky.key is not None:
        return {"unit": f"%QUERY_PARAM({sticky.key})%"}
    return {"unit": f"%DYNAMIC_METADATA({METADATA}:unit)%", "newUnit": f"%REQ({FRESH_HEADER})%"}


def _hashed(routes: list[dict[str, Any]], policy: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**route, "route": {**route["route"], "hash_policy": [policy]}} for route in routes]


def _giving(route: dict[str, Any], cookie: Cookie) -> dict[str, Any]:
    value = f"{cookie.name}=%REQ({FRESH_HEADER})%; Max-Age={cookie.ttl}; Path=/; HttpOnly; SameSite=Lax"
    header = {"header": {"key": "set-cookie", "value": value}, "append_action": "APPEND_IF_EXISTS_OR_ADD"}
    return {**route, "response_headers_to_add": [*route.get("response_headers_to_add", ()), header]}
