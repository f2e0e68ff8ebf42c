"""Counts outlive the router: a real redis-server, and the real microservice killed as the kernel would."""

from __future__ import annotations

import time

import pytest
from fairtrial_graph_components.state.file_store import FileStore
from fairtrial_graph_components.state.redis_store import RedisStore
from fairtrial_graph_components.state.store import StoreError

THOMPSON = "thompson_sampling.ThompsonSampling"


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_router_loses_at_most_the_last_second(start, redis_server):
    options = {"n_branches": 2, "state": redis_server.url, "rewards": "bounded"}
    router = start(THOMPSON, "ROUTER", **options)
    sent = []
    for number in range(250):
        assert router.reward(number % 2, number % 2)[0] == 200
        sent.append(time.monotonic())
        if sent[-1] - sent[0] > 3:
            break
        time.sleep(0.01)
    died = time.monotonic()
    router.kill()
    kept = sum(value for field, value in redis_server.counts().items() if field.endswith(":rewards"))
    assert kept >= sum(moment < died - 1 for moment in sent) > 0
    again = start(THOMPSON, "ROUTER", **options)
    assert again.reward(1.0, 1)[0] == 200
    until(lambda: sum(v for f, v in redis_server.counts().items() if f.endswith(":rewards")) == kept + 1)


def test_replicas_share_their_counts(start, redis_server):
    options = {"branch_names": "old,new", "state": redis_server.url}
    one, two = (start("epsilon_greedy.EpsilonGreedy", "ROUTER", epsilon=0.0, **options) for _ in range(2))
    for _ in range(20):
        assert one.reward(0.5, 0)[0] == 200
        assert two.reward(0.9, 1)[0] == 200
    until(lambda: redis_server.counts().get("new:rewards") == redis_server.counts().get("old:rewards") == 20)
    until(lambda: {router.route() for router in (one, two) for _ in range(5)} == {1})


def test_a_router_goes_on_without_redis_and_merges_later(start, redis_server):
    router = start(
        "epsilon_greedy.EpsilonGreedy", "ROUTER", n_branches=2, epsilon=0.0, state=redis_server.url
    )
    assert router.reward(1.0, 1)[0] == 200
    until(lambda: redis_server.counts().get("1:rewards") == 1)
    redis_server.end()
    begun = time.monotonic()
    for _ in range(30):
        assert router.reward(0.0, 1)[0] == 200
        assert router.reward(0.5, 0)[0] == 200
    assert router.route() == 0
    assert time.monotonic() - begun < 5
    redis_server.begin()
    until(lambda: redis_server.counts().get("1:rewards") == 31)
    assert redis_server.counts()["1:total"] == 1
    assert redis_server.counts()["0:total"] == 15


def test_a_router_starts_without_redis(start):
    router = start(THOMPSON, "ROUTER", n_branches=2, state="redis://127.0.0.1:1/0")
    assert router.reward(0, 1)[0] == 200
    assert router.route() in (0, 1)


def test_a_batch_whose_answer_was_lost_counts_once(redis_server):
    store = RedisStore(redis_server.url, "trial:main:node")
    store.add({"0:rewards": 2.0, "0:total": 0.1}, 1)
    assert store.add({"0:rewards": 2.0, "0:total": 0.1}, 1) == {"0:rewards": 2.0, "0:total": 0.1}
    assert store.add({"0:rewards": 1.0}, 2)["0:rewards"] == 3


def test_the_file_outlives_the_router(start, tmp_path):
    address = f"file://{tmp_path}/state"
    router = start("epsilon_greedy.EpsilonGreedy", "ROUTER", n_branches=2, epsilon=0.0, state=address)
    for _ in range(3):
        assert router.reward(1.0, 1)[0] == 200
    held = tmp_path / "state" / "trial_main_node.json"
    until(lambda: held.exists() and '"1:rewards": 3.0' in held.read_text())
    router.kill()
    again = start("epsilon_greedy.EpsilonGreedy", "ROUTER", n_branches=2, epsilon=0.0, state=address)
    assert {again.route() for _ in range(10)} == {1}


def test_a_file_that_is_no_state_is_left_as_it_is(start, tmp_path):
    held = tmp_path / "state" / "trial_main_node.json"
    held.parent.mkdir()
    held.write_text("{")
    router = start(THOMPSON, "ROUTER", n_branches=2, state=f"file://{tmp_path}/state")
    assert router.reward(1.0, 1)[0] == 200
    assert router.route() in (0, 1)
    until(lambda: "Counts are kept here" in router.log.read_text())
    assert held.read_text() == "{"


@pytest.mark.parametrize(
    "garbage", ["", "[]", '{"1:rewards": "many"}', '{"1:rewards": NaN}', '{"1:rewards": null}']
)
def test_what_is_no_state_is_not_added_to(tmp_path, garbage):
    (tmp_path / "s.json").write_text(garbage)
    with pytest.raises(StoreError, match="begin anew"):
        FileStore(str(tmp_path), "s").add({"1:rewards": 1.0}, 1)
    assert (tmp_path / "s.json").read_text() == garbage
