"""A load over gRPC, against a server by grpcio."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from fairtrial_loadtests.errors import BadLoadError, UnreachableError
from fairtrial_loadtests.grpc_calls import PreparedCalls
from fairtrial_loadtests.http2 import BrokenCall, header_block, headers_in
from fairtrial_loadtests.plan import Arrivals, Requests, Split, Target, UnitIn
from pyarrow import parquet


@pytest.fixture(scope="module")
def address():
    script = Path(__file__).parent / "grpc_stand_in.py"
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def by_grpc(make_plan, address):
    def make(**changes):
        targets = tuple(Target(arm, address, arm) for arm in ("v1", "v2"))
        return replace(make_plan(rate=200, duration=1.0, targets=targets), protocol="grpc", **changes)

    return make


def test_every_row_is_answered_and_scored_and_what_fails_has_the_status_that_http_would_give_it(
    by_grpc, run_load
):
    observations = run_load(by_grpc()).observations.to_pylist()
    assert len(observations) > 300
    for each in observations:
        if each["row"] == 7:
            assert (each["status"], each["prediction"], each["score"]) == (400, None, 0.0)
        else:
            assert (each["status"], each["prediction"]) == (200, str(each["row"]))
            assert each["score"] == float(each["row"] != 0)
    slow = [each["latency"] for each in observations if each["row"] == 9]
    others = [each["latency"] for each in observations if each["row"] not in (7, 9)]
    assert min(slow) >= 0.6
    assert np.median(others) < 0.3, "a slow answer must not hold up the others"


def test_the_split_says_who_answered_and_in_which_segment_and_is_told_the_user(by_grpc, run_load, address):
    plan = by_grpc(split=Split(address, "", 1.0), sticky=UnitIn("header", "x-user"))
    observations = run_load(plan).observations.to_pylist()
    assert {each["arm"] for each in observations if each["status"] == 200} == {"v2"}
    assert all(e["segment"] == f"r7{e['unit']}" for e in observations if e["status"] == 200)


def test_requests_larger_than_the_window_go_as_the_server_lets_them(by_grpc, run_load, tmp_path):
    wide = np.random.default_rng(0).random((4, 40_000))  # 320 kB a request
    wide[:, 0] = range(4)
    path = tmp_path / "wide.parquet"
    parquet.write_table(pa.table({f"c{i}": wide[:, i] for i in range(wide.shape[1])}), path)
    plan = by_grpc(requests=Requests(path), arrivals=Arrivals(20.0, "constant", 1.0))
    observations = run_load(plan).observations.to_pylist()
    assert len(observations) > 30
    assert {(each["status"], each["prediction"] == str(each["row"])) for each in observations} == {
        (200, True)
    }


def test_a_request_that_takes_too_long_has_no_status_and_the_load_goes_on(by_grpc, run_load):
    observations = run_load(by_grpc(timeout=0.4)).observations.to_pylist()
    slow = [each for each in observations if each["row"] == 9]
    assert {each["status"] for each in slow} == {0}
    assert sum(each["status"] == 200 for each in observations) > 250


def test_nobody_a_model_that_is_not_there_and_a_server_of_rest_are_told_in_a_sentence(
    by_grpc, run_load, address, server
):
    with pytest.raises(UnreachableError, match="does not answer by gRPC"):
        run_load(by_grpc(targets=(Target("v1", "http://127.0.0.1:1", "v1"),)))
    with pytest.raises(UnreachableError, match="404 when asked by gRPC for the model 'nobody'"):
        run_load(by_grpc(targets=(Target("v1", address, "nobody"),)))
    with pytest.raises(UnreachableError, match="does not answer by gRPC"):
        run_load(by_grpc(targets=(Target("v1", server.url("v1"), "v1"),), timeout=2.0))


def test_a_query_string_is_nothing_that_a_call_has():
    with pytest.raises(BadLoadError, match="no query string"):
        PreparedCalls("http://h:1", "v1", None, headers={}, unit_in=UnitIn("key", "user"), units=["u"])


def test_headers_are_read_as_they_were_written_and_rubbish_is_refused():
    headers = {":method": "POST", "x-long": "v" * 400, "te": "trailers"}
    assert headers_in(header_block(headers)) == headers
    with pytest.raises(BrokenCall, match="cannot be read"):
        headers_in(b"\xff\xff\xff")
