"""The response cache, on a real redis-server that is stopped, killed and filled with garbage: an answer from
it says so and equals the model's own, and whatever becomes of the cache no answer is missing or wrong."""

from __future__ import annotations

import asyncio
import concurrent.futures
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import grpc
import httpx
import joblib
import numpy as np
import pytest
from fairtrial_servers.errors import ServerError
from fairtrial_servers.serving.answer_cache import FAILURES, PAUSE, Breaker
from fairtrial_servers.serving.messages import Request, Tensor, Wanted
from fairtrial_servers.serving.options import Caching, caching_of
from fairtrial_servers.sklearn import SKLearnRuntime
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub
from mlserver.settings import ModelSettings
from prometheus_client import REGISTRY
from sklearn.tree import DecisionTreeClassifier

redis = pytest.importorskip("redis", reason="the Redis client is not installed: uv sync")
BINARY = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(BINARY is None, reason="redis-server is not installed: apt-get install it")


class Server:
    """A redis-server of the test's own."""

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [
                str(BINARY),
                "--port",
                str(self.port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
                str(self._folder),
            ],
            stdout=subprocess.DEVNULL,
        )
        self.client = redis.Redis(port=self.port)
        deadline = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def _answers(self):
        try:
            return self.client.ping()
        except redis.ConnectionError:
            return False

    def end(self):
        self.client.close()
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def store(tmp_path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.end()


X = np.random.default_rng(0).random((60, 3))
Y = np.where(X[:, 0] > 0.5, "yes", "no")
MODEL = DecisionTreeClassifier(max_depth=2).fit(X, Y)


@pytest.fixture
def tree(tmp_path):
    path = tmp_path / "model.joblib"
    joblib.dump(MODEL, path)
    return path


def counts(model):
    names = ("hits", "misses", "errors")
    return [
        REGISTRY.get_sample_value(f"fairtrial_cache_{name}_total", {"model": model}) or 0 for name in names
    ]


def with_runtime(path, store, scenario, *, name="m", **parameters):
    """Run a scenario with `ask(index, **more) -> (labels, cached)` of a runtime that has the cache."""

    async def run():
        extra = {"cache": store.url, "cache_timeout": "300ms", **parameters}
        settings = ModelSettings(
            name=name, implementation=SKLearnRuntime, parameters={"uri": str(path), "extra": extra}
        )
        runtime = SKLearnRuntime(settings)
        await runtime.load()

        async def ask(index, *, outputs=(), dtype="FP64", **more):
            row = Tensor("x", [1, 3], dtype, None, X[index].tolist())
            wanted = [Wanted(each) for each in outputs]
            answers, said = await runtime.respond(Request([row], outputs=wanted, **more))
            await asyncio.gather(*runtime._cache._writes)
            return answers[0][1].ravel().tolist(), said.get("cached", False)

        try:
            return await scenario(ask)
        finally:
            await runtime.unload()

    return asyncio.run(run())


def right(index):
    return MODEL.predict(X[[index]]).tolist()


@needs_redis
def test_the_second_answer_comes_from_the_cache_and_is_the_same(tree, store):
    async def scenario(ask):
        return [await ask(0), await ask(0), await ask(1), await ask(0, outputs=["predict_proba"])]

    first, second, other, probabilities = with_runtime(tree, store, scenario, name="twice")
    assert (first, second) == ((right(0), False), (right(0), True))
    assert other == (right(1), False)
    assert probabilities == (MODEL.predict_proba(X[[0]]).ravel().tolist(), False)
    assert counts("twice") == [1, 3, 0]


@needs_redis
def test_another_model_or_parameter_is_another_key(tree, store, tmp_path):
    async def scenario(ask):
        return [(await ask(0))[1], (await ask(0, parameters={"threshold": 1}))[1], (await ask(0))[1]]

    assert with_runtime(tree, store, scenario) == [False, False, True]
    other = tmp_path / "other" / "model.joblib"
    other.parent.mkdir()
    joblib.dump(DecisionTreeClassifier(max_depth=1).fit(X, 1 - (Y == "yes")), other)
    assert with_runtime(other, store, scenario) == [False, False, True]


@needs_redis
def test_garbage_in_the_cache_is_passed_over(tree, store):
    async def scenario(ask):
        await ask(0)
        await ask(1)
        one, two = store.client.keys()
        answers = []
        good = store.client.get(two)
        for junk in (b"", b"x", b"\x80\x04.", good[:-1], good + b"\0", good):  # the last is of the other row
            store.client.set(one, junk)
            for index in (0, 1):
                answers.append(((await ask(index))[0], index))
        store.client.delete(one)
        store.client.lpush(one, "a list")  # no string at all: Redis itself refuses to get it
        answers += [((await ask(index))[0], index) for index in (0, 1)]
        return answers

    answers = with_runtime(tree, store, scenario, name="garbage")
    assert all(labels == right(index) for labels, index in answers)
    assert counts("garbage")[2] >= 6


@needs_redis
def test_what_is_kept_ends_and_is_not_large(tree, store):
    async def scenario(ask):
        await ask(0)
        (key,) = store.client.keys()
        assert 0 < store.client.pttl(key) <= 400
        await asyncio.sleep(0.5)
        return (await ask(0))[1]

    assert with_runtime(tree, store, scenario, cache_ttl="400ms") is False

    async def small(ask):
        await ask(5)
        return store.client.dbsize()

    store.client.flushall()
    assert with_runtime(tree, store, small, cache_max_value="20") == 0


@needs_redis
def test_a_cache_that_hangs_costs_a_few_limits_and_then_nothing(tree, store):
    async def scenario(ask):
        await ask(0)
        store.process.send_signal(signal.SIGSTOP)
        begun = time.monotonic()
        answers = [await ask(index % 5) for index in range(200)]
        took = time.monotonic() - begun
        store.process.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + 20
        while not (await ask(0))[1]:
            assert time.monotonic() < deadline, "the cache is never used again"
            await asyncio.sleep(0.1)
        return answers, took

    answers, took = with_runtime(tree, store, scenario, name="hung", cache_timeout="100ms")
    assert [labels for labels, _ in answers] == [right(index % 5) for index in range(200)]
    assert counts("hung")[2] >= FAILURES
    assert took < 3.5  # 200 limits of 0.1 s would be 20


@needs_redis
def test_an_address_where_nothing_listens_costs_no_answer(tree, store):
    async def scenario(ask):
        return [await ask(index) for index in range(20)]

    store.process.kill()
    store.process.wait(10)
    answers = with_runtime(tree, store, scenario, name="nobody")
    assert answers == [(right(index), False) for index in range(20)]


@needs_redis
def test_a_real_server_tells_what_was_cached_and_outlives_the_cache(
    start, digits, digits_file, digits_model, store
):
    extra = {"cache": store.url, "cache_timeout": "200ms", "max_batch_size": "4", "max_batch_time": "1ms"}
    served = start(digits_file, parameters=extra).wait_ready()
    data = digits[0][:40]
    expected = digits_model.predict(data)

    with httpx.Client(base_url=served.url, timeout=60) as client:

        def ask(index):
            row = data[index % 40].tolist()
            sent = {"inputs": [{"name": "x", "shape": [1, 64], "datatype": "FP64", "data": row}]}
            answer = client.post("/v2/models/digits/infer", json=sent)
            assert answer.status_code == 200, answer.text
            assert answer.json()["outputs"][0]["data"] == [expected[index % 40]]
            return answer.json().get("parameters", {}).get("cached", False)

        assert not ask(0)
        deadline = time.monotonic() + 10
        while not ask(0):
            assert time.monotonic() < deadline
        asked = pb.ModelInferRequest(model_name="digits", raw_input_contents=[data[0].tobytes()])
        asked.inputs.add(name="other name", shape=[1, 64], datatype="FP64")
        with grpc.insecure_channel(f"127.0.0.1:{served.grpc}") as channel:
            answer = GRPCInferenceServiceStub(channel).ModelInfer(asked)
        assert answer.parameters["cached"].bool_param
        assert np.frombuffer(answer.raw_output_contents[0], "int64").tolist() == [expected[0]]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            pending = [pool.submit(ask, index) for index in range(200)]
            time.sleep(0.1)
            store.process.kill()
            store.process.wait(10)
            for each in pending:
                each.result()
        assert not any([ask(index) for index in range(5)])
    metrics = httpx.get(f"http://127.0.0.1:{served.metrics}/metrics").text
    for name in ("hits", "misses", "errors"):
        (line,) = [line for line in metrics.splitlines() if line.startswith(f"fairtrial_cache_{name}_total")]
        assert float(line.split()[-1]) > 0
    assert "Traceback" not in served.errors()


@needs_redis
def test_an_arm_under_trial_takes_no_cache_from_the_environment(
    start, digits, digits_file, store, monkeypatch
):
    monkeypatch.setenv("FAIRTRIAL_ANSWER_CACHE", store.url)
    served = start(digits_file).wait_ready()
    sent = {"inputs": [{"name": "x", "shape": [1, 64], "datatype": "FP64", "data": digits[0][0].tolist()}]}
    for _ in range(3):
        answer = httpx.post(f"{served.url}/v2/models/digits/infer", json=sent, timeout=60)
        assert "parameters" not in answer.raise_for_status().json()
    assert store.client.dbsize() == 0


def test_a_breaker_lets_one_caller_try_after_each_pause():
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    assert [breaker.bad() for _ in range(FAILURES)] == [False] * (FAILURES - 1) + [True]
    assert not breaker.allows()
    now[0] += PAUSE
    assert [breaker.allows(), breaker.allows()] == [True, False]
    breaker.bad()
    assert not breaker.allows()
    now[0] += PAUSE
    assert breaker.allows()
    breaker.good()
    assert [breaker.allows(), breaker.allows()] == [True, True]


def test_parameters_of_the_cache():
    assert caching_of({}) is None
    assert caching_of({"cache": "redis://h"}) == Caching("redis://h", 3600.0, 0.005, 10**6)
    for wrong in ({"cache": "http://h"}, {"cache": "h:6379"}, {"cache": "redis://h", "cache_ttl": "long"},
                  {"cache": "redis://h", "cache_max_value": "-1"}):  # fmt: skip
        with pytest.raises(ServerError, match=list(wrong)[-1]):
            caching_of(wrong)
