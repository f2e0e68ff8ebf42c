"""The load against a real HTTP server: what reaches it, and what is recorded of it."""

import json
import socket
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import gevent
import numpy as np
import pytest
from fairtrial_loadtests.dataset import Dataset
from fairtrial_loadtests.errors import BadLoadError, UnreachableError
from fairtrial_loadtests.observation import SCHEMA
from fairtrial_loadtests.plan import Requests, Split, Target, UnitIn
from fairtrial_loadtests.preparation import prepare
from fairtrial_loadtests.recorder import Recorder

ROWS = 50


def sent_rows(log):
    return [int(request["body"]["inputs"][0]["data"][0]) for request in log]


def refused_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_each_row_reaches_each_arm_once_in_a_pass(server, make_plan, run_load):
    run = run_load(make_plan(rate=300, duration=1.0))
    pairs = run.load.requests // 2
    assert pairs > 2 * ROWS
    for arm in ("v1", "v2"):
        rows = sent_rows(server.log(arm))
        assert len(rows) == pairs
        uses = Counter(rows).values()
        assert max(uses) - min(uses) <= 1
    assert server.log("split") == []


def test_what_is_recorded_is_what_was_sent(server, make_plan, run_load):
    run = run_load(make_plan(share=0.3))
    table = run.observations
    assert table.schema.equals(SCHEMA)
    assert table.num_rows == run.load.requests == len(run.reported)
    assert len(set(table["id"].to_pylist())) == table.num_rows
    for row in table.to_pylist():
        assert row["status"] == 200
        assert row["score"] == (0.0 if row["row"] == 0 else 1.0)
        assert row["prediction"] == str(row["row"])
        assert row["unit"] == f"user-{row['row'] % 7}"
        assert row["absoluteError"] is None
        assert 0 < row["latency"] < 5
        assert -0.001 < row["sent"] - row["time"] <= row["latency"] + 0.001
        if row["pair"] is not None:
            assert row["id"] == f"{row['pair']}-{row['arm']}"
            assert row["segment"] is None
    recorded = Counter(each.partition("-")[2] for each in table["id"].to_pylist())
    assert recorded == {name: len(server.log(name)) for name in server.ports}


def test_the_halves_of_a_pair_have_the_same_row_and_times_of_their_own(make_plan, run_load):
    pairs: dict[int, list[dict]] = {}
    for row in run_load(make_plan()).observations.to_pylist():
        pairs.setdefault(row["pair"], []).append(row)
    assert all({half["arm"] for half in pair} == {"v1", "v2"} for pair in pairs.values())
    assert all(len(pair) == 2 and pair[0]["row"] == pair[1]["row"] for pair in pairs.values())
    assert all(pair[0]["time"] != pair[1]["time"] for pair in pairs.values())
    first = Counter(pair[0]["arm"] for pair in pairs.values())
    assert min(first.values()) > 0.35 * len(pairs)


def test_the_headers_of_the_split_say_which_arm_and_which_segment(server, make_plan, run_load):
    table = run_load(make_plan(share=1.0)).observations
    assert set(table["arm"].to_pylist()) == {"v1", "v2"}
    assert set(table["segment"].to_pylist()) == {"r7"}
    assert table["pair"].null_count == table.num_rows


def test_without_headers_the_models_name_says_which_arm(server, make_plan, run_load):
    server.control("split", headers=False)
    table = run_load(make_plan(share=1.0)).observations
    assert set(table["arm"].to_pylist()) == {"v1", "v2"}
    assert set(table["segment"].to_pylist()) == {""}


def test_the_unit_goes_out_in_the_sticky_header(server, make_plan, run_load):
    sticky = UnitIn("header", "x-account")
    run_load(make_plan(duration=0.3, share=0.5, sticky=sticky, headers={"X-Team": "risk"}))
    for request in [*server.log("split"), *server.log("v1")]:
        row = int(request["body"]["inputs"][0]["data"][0])
        assert request["headers"]["x-account"] == f"user-{row % 7}"
        assert request["headers"]["x-team"] == "risk"


def test_connections_are_kept(server, make_plan, run_load):
    run = run_load(make_plan(rate=300, duration=1.0))
    assert server.connections("v1") < run.load.requests / 10


def test_arrivals_are_open_a_stall_shows_in_the_latency_that_a_closed_loop_hides(server, make_plan, run_load):
    plan = make_plan(rate=150, duration=2.5)
    plan = replace(plan, targets=plan.targets[:1])

    def stall_later():
        gevent.sleep(0.8)
        body = json.dumps({"stall": 1.0}).encode()
        urllib.request.urlopen(server.url("v1") + "/control", data=body, timeout=10).close()

    gevent.spawn(stall_later)
    run = run_load(plan)
    open_latency = run.observations["latency"].to_numpy()
    assert 0.8 < np.percentile(open_latency, 99) < 1.6
    assert np.mean(open_latency > 0.05) == pytest.approx(1.0 / 2.5, abs=0.15)

    closed = []
    ends = time.monotonic() + 2.5
    request = urllib.request.Request(
        server.url("v1") + "/v2/models/v1/infer", data=b'{"inputs":[{"data":[1.0]}]}', method="POST"
    )
    stall = threading.Timer(0.8, server.control, ["v1"], {"stall": 1.0})
    stall.start()
    while time.monotonic() < ends:
        begun = time.monotonic()
        urllib.request.urlopen(request, timeout=10).close()
        closed.append(time.monotonic() - begun)
        time.sleep(max(0.0, 1 / 150 - closed[-1]))
    stall.join()
    assert max(closed) > 0.8
    assert np.percentile(closed, 99) < 0.4


def test_a_stall_of_one_arm_delays_nothing_sent_to_the_other(server, make_plan, run_load):
    server.control("v2", stall=1.0)
    table = run_load(make_plan(rate=100, duration=1.0)).observations.to_pandas()
    assert table.latency[table.arm == "v2"].max() > 0.8
    assert table.latency[table.arm == "v1"].quantile(0.9) < 0.2


def test_requests_past_the_cap_of_an_address_are_dropped_and_fail_there_only(server, make_plan, run_load):
    server.control("v2", stall=0.8)
    run = run_load(make_plan(rate=200, duration=0.6, max_in_flight=20))
    table = run.observations.to_pandas()
    dropped = table[table.sent.isna()]
    assert run.load.dropped == len(dropped) > 20
    assert set(dropped.arm) == {"v2"}
    assert set(dropped.status) == {0}
    assert set(dropped.score) == {0.0}
    assert dropped.latency.between(0, 0.5).all()
    assert len(server.log("v2")) == 20
    assert len(table[table.arm == "v1"]) == len(server.log("v1"))
    assert run.load.requests == len(table)
    assert sum(event["exception"] is not None for event in run.reported) == run.load.failures == len(dropped)


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_an_error_status_is_a_failure_with_a_wrong_score(server, make_plan, run_load, status):
    server.control("v2", status=status)
    run = run_load(make_plan(duration=0.4))
    table = run.observations.to_pandas()
    failed = table[table.arm == "v2"]
    assert set(failed.status) == {status}
    assert set(failed.score) == {0.0}
    assert failed.prediction.isna().all()
    assert run.load.failures == len(failed) == len(server.log("v2"))


def test_a_connection_hung_up_is_a_failure_and_is_not_sent_again(server, make_plan, run_load):
    server.control("v2", hang_up=True)
    run = run_load(make_plan(duration=0.4))
    table = run.observations.to_pandas()
    assert set(table.status[table.arm == "v2"]) == {0}
    assert len(server.log("v2")) == (table.arm == "v2").sum() == run.load.failures


def test_a_request_that_takes_too_long_is_given_up(server, make_plan, run_load):
    server.control("v2", delay=3.0)
    table = run_load(make_plan(rate=50, duration=0.4, timeout=0.3)).observations.to_pandas()
    late = table[table.arm == "v2"]
    assert set(late.status) == {0}
    assert late.latency.between(0.29, 0.7).all()


def test_refused_connections_are_failures_of_their_arm(server, make_plan):
    class Metadata(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"inputs": []}')

        def log_message(self, format, *args):
            pass

    plan = make_plan(duration=0.3)
    plan.output.mkdir()
    recorder = Recorder()
    with HTTPServer(("127.0.0.1", 0), Metadata) as short_lived:
        answering = threading.Thread(target=short_lived.handle_request)
        answering.start()
        gone = Target("v2", f"http://127.0.0.1:{short_lived.server_port}", "v2")
        load = prepare(replace(plan, targets=(plan.targets[0], gone)), Dataset(plan.requests), recorder)
        answering.join()
    load.run(lambda **_: None)
    observations = recorder.remaining()
    assert {o.status for o in observations if o.arm == "v2"} == {0}
    assert {o.status for o in observations if o.arm == "v1"} == {200}
    assert load.failures == sum(o.arm == "v2" for o in observations) == load.requests // 2 > 0


def test_an_arm_that_is_not_there_is_found_before_any_load(server, make_plan, run_load):
    plan = make_plan()
    gone = Target("v2", f"http://127.0.0.1:{refused_port()}", "v2")
    with pytest.raises(UnreachableError, match=r"Arm 'v2' at http://127\.0\.0\.1:\d+ does not answer: "):
        run_load(replace(plan, targets=(plan.targets[0], gone)))
    nobody = Split(gone.url, "model", 0.5)
    with pytest.raises(UnreachableError, match="The split at "):
        run_load(replace(plan, split=nobody))
    assert server.log("v1") == []


def test_a_model_with_another_number_of_features_is_found_before_any_load(server, make_plan, run_load):
    metadata = {"inputs": [{"name": "predict", "datatype": "FP64", "shape": [-1, 11]}]}
    server.control("v2", metadata=metadata)
    with pytest.raises(BadLoadError, match=r"2 feature columns .* the model of arm 'v2' takes 11"):
        run_load(make_plan())
    server.control("v2", metadata={"error": "no such model"} | {"inputs": [{"shape": "?"}]})
    with pytest.raises(UnreachableError, match="not with V2 metadata"):
        run_load(make_plan())
    assert server.log("v1") == server.log("v2") == []


def test_arms_that_name_their_matrix_differently_share_a_split_where_one_takes_any_name(
    server, make_plan, run_load
):
    matrix = {"name": "X", "datatype": "FP32", "shape": [-1, 2]}
    server.control("v2", metadata={"inputs": [matrix]})
    with pytest.raises(BadLoadError, match="'v1' and 'v2' take different inputs"):
        run_load(make_plan(share=0.5))
    server.control("v2", metadata={"inputs": [{**matrix, "parameters": {"any_name": True}}]})
    assert run_load(make_plan(share=0.5, duration=0.2)).load.failures == 0
    through_split = [each["body"]["inputs"][0]["name"] for arm in ("v1", "v2") for each in server.log(arm)]
    assert set(through_split) == {
        "predict",
        "X",
    }  # the split sends what v1 takes, paired requests each its own


def test_arms_that_take_different_inputs_cannot_share_a_split(server, make_plan, run_load, rows_file):
    server.control("v2", metadata={"inputs": [{"name": "a", "datatype": "FP64", "shape": [-1]}]})
    with pytest.raises(BadLoadError, match="'v1' and 'v2' take different inputs"):
        run_load(make_plan(share=0.5))
    run = run_load(make_plan(duration=0.2))
    assert run.load.failures == 0
    assert [each["name"] for each in server.log("v2")[0]["body"]["inputs"]] == ["a"]
    assert server.log("v1")[0]["body"]["inputs"][0]["shape"] == [1, 2]


def test_stop_ends_the_arrivals_and_leaves_no_half_pair(server, make_plan, run_load):
    plan = make_plan(rate=200, duration=60.0)
    plan.output.mkdir()
    recorder = Recorder()
    load = prepare(plan, Dataset(plan.requests), recorder)
    gevent.spawn_later(0.5, load.stop, "stop")
    load.run(lambda **_: None)
    observations = recorder.remaining()
    halves = Counter(o.pair for o in observations)
    assert set(halves.values()) == {2}
    assert sorted(halves) == list(range(load.next_arrival))
    assert load.reason == "stop"
    assert len(observations) == len(server.log("v1")) + len(server.log("v2"))


def test_stop_does_not_wait_for_the_next_arrival(make_plan):
    plan = make_plan(rate=0.01, duration=600.0, process="constant")
    plan.output.mkdir()
    load = prepare(plan, Dataset(plan.requests), Recorder())
    gevent.spawn_later(0.2, load.stop, "stop")
    begun = time.monotonic()
    load.run(lambda **_: None)
    assert time.monotonic() - begun < 5
    assert (load.next_arrival, load.requests) == (0, 0)


def test_the_schedule_is_kept_even_if_nothing_is_answered(server, make_plan, run_load, rows_file):
    server.control("v1", stall=5.0)
    server.control("v2", stall=5.0)
    run = run_load(
        make_plan(
            rate=200, duration=1.0, timeout=0.2, requests=Requests(rows_file, exclude=("user", "label"))
        )
    )
    lag = (run.observations["sent"].to_numpy() - run.observations["time"].to_numpy()) * 1000
    assert np.percentile(lag, 50) < 20
    assert run.observations["score"].null_count == run.observations.num_rows


def test_through_the_split_goes_what_the_arm_takes_that_declares_it(server, make_plan, run_load):
    server.control("v1", metadata={"inputs": []})
    run = run_load(make_plan(duration=0.3, share=0.5))
    assert run.load.failures == 0
    assert {request["body"]["inputs"][0]["name"] for request in server.log("split")} == {"predict"}
    assert {request["body"]["inputs"][0]["name"] for request in server.log("v1")} == {"input-0"}


def test_every_request_is_reported_as_to_locusts_listeners(server, make_plan, run_load):
    run = run_load(make_plan(duration=0.3))
    rows = {row["time"]: row for row in run.observations.to_pylist()}
    for event in run.reported:
        row = rows[event["start_time"]]
        assert event["name"] == row["arm"]
        assert event["response_time"] == row["latency"] * 1000
        assert event["url"] == f"{server.url(row['arm'])}/v2/models/{row['arm']}/infer"
        assert event["response_length"] == len(event["response"].body) > 0


def test_an_observation_that_cannot_be_made_ends_the_load_instead_of_being_missing(make_plan, capsys):
    plan = make_plan(duration=600.0)
    plan.output.mkdir()
    load = prepare(plan, Dataset(plan.requests), Recorder())

    def broken(**event):
        raise RuntimeError("a listener's mistake")

    load.run(broken)
    assert (load.reason, str(load.bug)) == ("error", "a listener's mistake")


def test_the_headers_of_all_arms_are_sent_through_the_split_and_those_of_one_are_not(
    server, make_plan, run_load, monkeypatch
):
    monkeypatch.setenv("FAIRTRIAL_HEADERS", "X-Team: risk")
    monkeypatch.setenv("FAIRTRIAL_HEADERS_V1", "X-Own: v1")
    run_load(make_plan(duration=0.3, share=0.5))
    sent = [request["headers"] for request in server.log("split") if request["path"].endswith("/infer")]
    assert sent
    assert {each.get("x-team") for each in sent} == {"risk"}
    assert not any("x-own" in each for each in sent)
