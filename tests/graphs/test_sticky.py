"""Who goes where, through a real Envoy: by header, cookie and key, and past the weights."""

import http.client
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fairtrial_graphs.backends.interface import Cookie, HeaderMatch, Route, Sticky, Unsupported
from fairtrial_graphs.backends.local import LocalBackend
from fairtrial_graphs.backends.local.access_log import AccessLog
from fairtrial_graphs.backends.local.slots import runs
from fairtrial_graphs.build import Arm, build, with_weights
from graphs.hashing import slot_of
from graphs.standin import launcher

ARMS = [Arm(name, name, "STANDIN") for name in ("v1", "v2", "v3")]
TEN, TWENTY = {"v1": 90, "v2": 5, "v3": 5}, {"v1": 80, "v2": 10, "v3": 10}
DEPLOYMENT = build("d", ARMS, TEN)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBackend]:
    folder = tmp_path_factory.mktemp("local")
    with LocalBackend(folder, launcher, access_log=AccessLog(folder / "access")) as backend:
        yield backend


def quietly(_: str) -> None:
    pass


class Caller:
    """One connection, over which requests with any headers are sent."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)

    def ask(
        self, headers: Mapping[str, str] | None = None, query: str = ""
    ) -> tuple[int, str | None, str | None, str | None]:
        """Status, arm, revision and the cookie that is set."""
        self._connection.request("POST", f"/v2/models/d/infer{query}", "{}", dict(headers or {}))
        response = self._connection.getresponse()
        response.read()
        said = [
            response.getheader(name) for name in ("x-fairtrial-arm", "x-fairtrial-revision", "set-cookie")
        ]
        return response.status, said[0], said[1], said[2]

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def caller(backend: LocalBackend) -> Iterator[Caller]:
    caller = Caller(backend.apply(DEPLOYMENT, Route("r0"), quietly).url)
    yield caller
    caller.close()


def model_of(key: str, weights: Mapping[str, int]) -> str:
    return [arm for arm, slots in runs(weights) for _ in range(slots)][slot_of(key)]


WAYS = {
    "header": (Sticky("x-user"), lambda key: ({"x-user": key}, "")),
    "cookie": (Sticky(cookie=Cookie("who", 60)), lambda key: ({"cookie": f"a=1; who={key}; b=2"}, "")),
    "key": (Sticky(key="customer"), lambda key: ({}, f"?x=1&customer={key}")),
}


@pytest.mark.parametrize("way", WAYS)
def test_keys_go_where_the_model_says_and_ten_to_twenty_percent_moves_only_those_it_must(
    backend: LocalBackend, caller: Caller, way: str
):
    sticky, said = WAYS[way]
    keys = [f"user-{number}" for number in range(1_000)]
    for weights in (TEN, TWENTY):
        backend.apply(with_weights(DEPLOYMENT, weights), Route("r", sticky), quietly)
        caller.ask()
        seen = {key: caller.ask(*said(key))[1] for key in keys}
        assert seen == {key: model_of(key, weights) for key in keys}
    moved = {(model_of(key, TEN), model_of(key, TWENTY)) for key in keys}
    assert moved == {("v1", "v1"), ("v1", "v2"), ("v1", "v3"), ("v2", "v2"), ("v3", "v3")}


def test_a_caller_without_the_cookie_is_given_one_that_leads_to_the_same_arm(
    backend: LocalBackend, caller: Caller
):
    half = with_weights(DEPLOYMENT, {"v1": 50, "v2": 25, "v3": 25})
    backend.apply(half, Route("r", Sticky(cookie=Cookie("who", 3_600))), quietly)
    arms: set[str | None] = set()
    for _ in range(100):
        _, arm, _, cookie = caller.ask({"cookie": "whoever=1"})
        assert cookie is not None
        value, _, attributes = cookie.partition("; ")
        assert attributes == "Max-Age=3600; Path=/; HttpOnly; SameSite=Lax"
        assert caller.ask({"cookie": value}) == (200, arm, "r", None)
        arms.add(arm)
    assert arms == {"v1", "v2", "v3"}


def test_a_key_that_the_caller_makes_up_does_not_stand_in_for_the_cookie(
    backend: LocalBackend, caller: Caller
):
    half = with_weights(DEPLOYMENT, {"v1": 50, "v2": 25, "v3": 25})
    backend.apply(half, Route("r", Sticky(cookie=Cookie("who", 60))), quietly)
    cookies = {caller.ask({"x-fairtrial-key": "mine"})[3] for _ in range(5)}
    assert len(cookies) == 5
    assert not any("mine" in (cookie or "") for cookie in cookies)


def test_a_header_leads_past_the_weights_and_out_of_the_trial(backend: LocalBackend, caller: Caller):
    matches = (HeaderMatch("x-fairtrial-arm", "v2", "v2"), HeaderMatch("x-tester", "yes", "v3"))
    alone = with_weights(DEPLOYMENT, {"v1": 100, "v2": 0, "v3": 0})
    backend.apply(alone, Route("r", Sticky(cookie=Cookie("who", 60)), matches=matches), quietly)
    assert caller.ask({"x-fairtrial-arm": "v2"}) == (200, "v2", None, None)
    assert caller.ask({"x-tester": "yes"}) == (200, "v3", None, None)
    for headers in ({"x-tester": "no"}, {"x-fairtrial-arm": "v9"}, {}):
        assert caller.ask(headers)[:3] == (200, "v1", "r")


def test_a_header_that_leads_nowhere_is_refused_and_nothing_changes(backend: LocalBackend, caller: Caller):
    with pytest.raises(Unsupported, match="x-tester: yes leads to v9, but the split has v1, v2, v3"):
        backend.apply(DEPLOYMENT, Route("bad", matches=(HeaderMatch("x-tester", "yes", "v9"),)), quietly)
    assert caller.ask()[2] == "r0"


def test_a_request_that_takes_longer_than_the_timeout_is_answered_for_its_arm(tmp_path: Path):
    slow = build("d", [Arm("v1", "one", "STANDIN", parameters={"delay": "3"})])
    with LocalBackend(tmp_path, launcher) as backend:
        caller = Caller(backend.apply(slow, Route("r", timeout=0.1), quietly).url)
        assert caller.ask()[:3] == (504, "v1", "r")
        caller.close()


@pytest.mark.parametrize("ways", [(), ("header", "key"), ("header", "cookie", "key")])
def test_exactly_one_thing_names_the_caller(ways: tuple[str, ...]):
    known = {"header": "x-user", "cookie": Cookie("who", 60), "key": "customer"}
    with pytest.raises(ValueError, match="one of header, cookie and key"):
        Sticky(**{way: known[way] for way in ways})
