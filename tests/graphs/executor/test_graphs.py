"""Whole graphs from manifests: Envoy, the executor, and components that run in place of images."""

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from fairtrial_graphs.backends.interface import NotReady, Route
from fairtrial_graphs.backends.local import LocalBackend
from fairtrial_graphs.backends.local.executor import wire
from fairtrial_graphs.backends.local.executor.protobuf_payloads import name_in
from fairtrial_graphs.seldon.text import parse
from graphs.executor.served import ROW, Served
from graphs.processes import called, descendants, until
from graphs.standin import launcher
from prometheus_client.parser import text_string_to_metric_families

COMPONENT = str(Path(__file__).with_name("component.py"))
KINDS = ("add", "mean", "route:0", "route:1", "fail", "slow:1", "die")
GRPC_ECHO = str(Path(__file__).with_name("grpc_echo.py"))
STAND_INS = {
    "reg/grpc:1": [sys.executable, GRPC_ECHO],
    **{f"reg/{kind.replace(':', '-')}:1": [sys.executable, COMPONENT, kind] for kind in KINDS},
}


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBackend]:
    folder = tmp_path_factory.mktemp("graphs")
    with LocalBackend(folder, launcher, stand_ins=STAND_INS, ready_timeout=30.0) as backend:
        yield backend


@pytest.fixture
def served(backend: LocalBackend, tmp_path: Path) -> Served:
    return Served(backend, tmp_path / "calls")


def test_a_transformer_chain_and_a_combiner(served: Served):
    graph = """
      {name: t, type: TRANSFORMER, children: [{name: c, type: COMBINER, children: [
        {name: a, type: MODEL, parameters: [{name: x, value: "1", type: INT}]},
        {name: o, type: OUTPUT_TRANSFORMER, children: [{name: b, type: MODEL}]}]}]}"""
    served.apply({"t": "add", "c": "mean", "a": "add", "o": "add", "b": "add"}, graph)
    status, headers, answer = served.predict(**{"Seldon-Puid": "mine", "x-mine": "yes"})
    assert (status, answer["data"]["ndarray"]) == (200, [[3.5, 4.5]])
    assert headers["seldon-puid"] == "mine"
    assert headers["content-type"] == "application/json"
    assert headers["x-fairtrial-arm"] == "p"
    asked = served.asked()
    assert asked[0] == "t/transform-input"
    assert set(asked[1:3]) == {"a/predict", "b/predict"}
    assert asked[3:] == ["o/transform-output", "c/aggregate"]
    assert {(call["puid"], call["header"]) for call in served.calls()} == {("mine", "yes")}
    (model,) = (call for call in served.calls() if call["node"] == "a")
    assert json.loads(model["parameters"]) == [{"name": "x", "value": "1", "type": "INT"}]


def test_a_router_learns_of_rewards_and_so_does_the_branch_it_took(served: Served):
    graph = "{name: r, type: ROUTER, children: [{name: a, type: MODEL}, {name: b, type: MODEL}]}"
    injection = "svcOrchSpec: {env: [{name: SELDON_ENABLE_ROUTING_INJECTION, value: 'true'}]}"
    served.apply({"r": "route-1", "a": "add", "b": "add"}, graph, predictor=injection)
    status, headers, answer = served.predict()
    assert (status, answer["meta"]["routing"]) == (200, {"r": 1, "b": -1})
    assert len(headers["seldon-puid"]) == 36
    feedback = {"request": ROW, "response": answer, "reward": 0}
    assert served.ask("/api/v1.0/feedback", feedback)[0] == 200
    assert served.asked() == ["r/route", "b/predict", "b/send-feedback", "r/send-feedback"]
    assert served.calls()[-1]["body"]["reward"] == 0


def test_the_ab_test_inside_the_graph_keeps_its_ratio(served: Served):
    graph = """{name: ab, implementation: RANDOM_ABTEST,
      parameters: [{name: ratioA, value: "0.8", type: FLOAT}],
      children: [{name: a, type: MODEL}, {name: b, type: MODEL}]}"""
    served.apply({"a": "add", "b": "add"}, graph)
    for _ in range(200):
        assert served.predict()[0] == 200
    assert 135 < Counter(served.asked())["a/predict"] < 185  # p < 1e-4 outside


def test_a_components_own_error_is_answered_as_it_is(served: Served):
    served.apply(
        {"t": "add", "m": "fail"}, "{name: t, type: TRANSFORMER, children: [{name: m, type: MODEL}]}"
    )
    status, headers, answer = served.predict()
    assert (status, answer) == (400, {"status": {"code": 400, "info": "<no>", "status": "FAILURE"}})
    assert headers["content-type"].startswith("text/plain")


def test_a_routers_own_error_is_told_as_the_executors(served: Served):
    graph = "{name: r, type: ROUTER, children: [{name: a, type: MODEL}, {name: b, type: MODEL}]}"
    served.apply({"r": "fail", "a": "add", "b": "add"}, graph)
    status, _, answer = served.predict()
    assert (status, answer["status"]["code"]) == (400, 500)
    assert answer["status"]["info"].endswith("/route status code 400")


def test_a_page_of_another_origin_may_call(served: Served):
    served.apply({"m": "add"}, "{name: m}")
    _, headers, _ = served.predict()
    assert headers["access-control-allow-origin"] == "*"
    assert headers["access-control-allow-methods"] == "OPTIONS,POST"
    status, headers, _ = served.ask("/api/v1.0/metadata/m", method="OPTIONS")
    assert (status, headers["access-control-allow-methods"]) == (200, "GET,OPTIONS")
    assert "Content-Type" in headers["access-control-allow-headers"]


def test_a_component_that_is_slower_than_the_timeout_fails_the_request(served: Served):
    served.apply({"m": "slow-1"}, "{name: m}", spec='annotations: {seldon.io/rest-timeout: "200"}')
    status, _, answer = served.predict()
    assert status == 500
    assert answer["status"]["status"] == "FAILURE"
    assert "/predict" in answer["status"]["info"]


def test_without_a_timeout_a_slow_component_is_waited_for_and_others_are_not_held_up(served: Served):
    graph = "{name: c, type: COMBINER, children: [{name: a, type: MODEL}, {name: b, type: MODEL}]}"
    served.apply({"c": "mean", "a": "slow-1", "b": "slow-1"}, graph)
    answers: list[int] = []
    start = time.monotonic()
    threads = [threading.Thread(target=lambda: answers.append(served.predict()[0])) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 10
    assert 1.0 < time.monotonic() - start < 10.0  # ten by two seconds if they stood in line


def test_a_component_that_dies_is_started_again(served: Served):
    served.apply({"m": "die"}, "{name: m}")
    assert served.predict()[0] == 500
    incidents: list[str] = []

    def told() -> bool:
        incidents.extend(incident.message for incident in served.backend.incidents())
        return bool(incidents)

    until(told, 20, "the death is told")
    died = "node m of predictor p ended with exit code 7: (it printed nothing)"
    assert incidents == [f"{died}; started again (1 of 5)"]
    until(lambda: served.ask("/ready")[0] == 200, 20, "the graph is ready again")


def test_a_killed_executor_is_started_again(served: Served):
    served.apply({"a": "add"}, "{name: a}")
    served.backend.incidents()
    called(descendants(os.getpid()), "backends.local.executor").kill()

    def told() -> bool:
        return any("the executor of p was killed" in one.message for one in served.backend.incidents())

    until(told, 20, "the death is told")
    until(lambda: served.ask("/ready")[0] == 200, 20, "the graph is ready again")
    assert served.predict()[0] == 200


def test_metrics_are_those_of_seldons_executor(served: Served):
    graph = "{name: t, type: TRANSFORMER, children: [{name: m, type: MODEL}]}"
    served.apply({"t": "add", "m": "fail"}, graph)
    served.predict()
    status, _, text = served.ask("/prometheus")
    assert (status, text) == (200, served.ask("/metrics")[2])
    families = {family.name: family for family in text_string_to_metric_families(text)}
    of_predictor = {"deployment_name": "d", "predictor_name": "p", "predictor_version": "v7"}
    (count,) = (
        sample
        for sample in families["seldon_api_executor_server_requests_seconds"].samples
        if sample.name.endswith("_count")
    )
    assert count.labels == {**of_predictor, "service": "predictions", "method": "post", "code": "400"}
    assert count.value == 1
    asked = {
        sample.labels["model_name"]: sample.labels
        for sample in families["seldon_api_executor_client_requests_seconds"].samples
        if sample.name.endswith("_count")
    }
    assert asked["m"] == {
        **of_predictor,
        "service": "/predict",
        "model_name": "m",
        "model_image": "reg/fail",
        "model_version": "1",
        "method": "post",
        "code": "400",
    }
    assert asked["t"]["code"] == "200"


def test_status_and_metadata_are_those_of_the_node_that_is_named(served: Served):
    served.apply({"a": "add"}, "{name: a}")
    assert served.ask("/api/v1.0/metadata/a")[2] == {"name": "a", "path": "/metadata"}
    assert served.ask("/api/v1.0/status/a")[2] == {"name": "a", "path": "/health/status"}
    status, _, answer = served.ask("/api/v1.0/status/nobody")
    assert (status, answer["status"]["info"]) == (500, "Failed to find model nobody")
    assert served.ask("/live")[0] == 200


def test_the_metadata_of_the_whole_graph_are_those_of_its_nodes(served: Served):
    graph = "{name: t, type: TRANSFORMER, children: [{name: m, type: MODEL}]}"
    served.apply({"t": "add", "m": "add"}, graph)
    status, _, answer = served.ask("/api/v1.0/metadata")
    models = {"m": {"name": "m"}, "t": {"name": "t"}}
    assert (status, answer) == (
        200,
        {"name": "p", "models": models, "graphinputs": None, "graphoutputs": None},
    )


def test_requests_of_a_node_with_a_logger_are_posted_there_and_bodies_as_they_were(served: Served):
    got: list[tuple[dict[str, str], bytes]] = []

    class Logger(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(202)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Logger) as logger:
        threading.Thread(target=logger.serve_forever).start()
        try:
            url = f"http://127.0.0.1:{logger.server_port}/"
            served.apply({"a": "add"}, f"{{name: a, type: MODEL, logger: {{mode: all, url: '{url}'}}}}")
            assert served.predict(**{"Seldon-Puid": "mine"})[0] == 200
            until(lambda: len(got) == 2, 10, "both events are posted")
        finally:
            logger.shutdown()
    bodies = {headers["ce-type"].rpartition(".")[2]: json.loads(body) for headers, body in got}
    assert bodies == {"request": ROW, "response": {"meta": {}, "data": {"ndarray": [[2.0, 3.0]]}}}
    assert {headers["ce-requestid"] for headers, _ in got} == {"mine"}


def test_grpc_is_split_among_graphs_at_the_same_address(served: Served):
    arms = "\n".join(
        f"""  - name: {name}
    traffic: 50
    componentSpecs: [{{spec: {{containers: [{{name: {name}-m, image: "reg/grpc:1"}}]}}}}]
    graph: {{name: {name}-m, type: MODEL}}"""
        for name in ("one", "two")
    )
    head = "apiVersion: machinelearning.seldon.io/v1\nkind: SeldonDeployment\nmetadata: {name: d}\n"
    serving = served.backend.apply(
        parse(f"{head}spec:\n  protocol: v2\n  predictors:\n{arms}"), Route("r"), lambda _: None
    )
    tensor = wire.nested(5, wire.written([wire.text(1, "x"), wire.text(2, "FP64")]))
    request = wire.written([wire.text(1, "d"), tensor])

    def answered(address: str, count: int) -> set[str]:
        with grpc.insecure_channel(address) as channel:
            infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            answers = [wire.read(infer(request, timeout=10, wait_for_ready=True)) for _ in range(count)]
        assert all(answer[1:] == [tensor] for answer in answers)
        return {name_in(wire.written(answer)) for answer in answers}

    assert answered(serving.url.removeprefix("http://"), 40) == {"one-m", "two-m"}
    for name, arm in serving.arms.items():
        assert arm.grpc is not None
        assert answered(arm.grpc, 2) == {f"{name}-m"}


def test_a_stand_in_that_does_not_start_is_told_with_its_log(served: Served, tmp_path: Path):
    stand_ins = {"*": [sys.executable, "-c", "raise SystemExit('no such router')"]}
    with (
        LocalBackend(tmp_path / "b", launcher, stand_ins=stand_ins) as backend,
        pytest.raises(NotReady) as error,
    ):
        Served(backend, tmp_path / "calls").apply({"a": "add"}, "{name: a}")
    assert "node a of predictor p is not ready: its stand-in ended with exit code 1" in str(error.value)
    assert "no such router" in str(error.value)


def test_a_path_of_the_other_protocol_is_not_found(served: Served):
    served.apply({"a": "add"}, "{name: a}")
    assert served.ask("/v2/models/infer", {})[0] == 404


def test_v2_nodes_are_chained_and_the_callers_model_name_is_no_matter(served: Served):
    graph = "{name: t, type: TRANSFORMER, children: [{name: m, type: MODEL}]}"
    served.apply({"t": "add", "m": "add"}, graph, protocol="v2")
    body = {"inputs": [{"name": "x", "shape": [2], "datatype": "FP64", "data": [1.0, 2.0]}]}
    for name in ("", "t/", "anything/"):
        status, _, answer = served.ask(f"/v2/models/{name}infer", body)
        assert (status, answer["outputs"][0]["data"]) == (200, [3.0, 4.0])
    assert set(served.asked()) == {"t/v2/models/t/infer", "m/v2/models/m/infer"}
    assert served.ask("/v2/health/ready")[0] == 200
    assert served.ask("/v2/models/infer", {"x": 1})[2]["status"]["info"].startswith("Failed to convert")


def test_a_split_over_two_graphs_and_a_shadow_that_gets_its_copies(served: Served, tmp_path: Path):
    containers = [{"name": name, "image": "reg/add:1"} for name in ("a", "b", "s")]
    for container in containers:
        container["env"] = [{"name": "CALLS", "value": str(tmp_path / "calls")}]  # type: ignore[assignment]
    components = json.dumps([{"spec": {"containers": containers}}])
    predictors = [("one", "a", "traffic: 50"), ("two", "b", "traffic: 50"), ("copy", "s", "shadow: true")]
    text = "\n".join(
        f"  - {{name: {name}, {how}, componentSpecs: {components}, graph: {{name: {node}}}}}"
        for name, node, how in predictors
    )
    head = "apiVersion: machinelearning.seldon.io/v1\nkind: SeldonDeployment\nmetadata: {name: d}\n"
    served.serving = served.backend.apply(
        parse(f"{head}spec:\n  protocol: seldon\n  predictors:\n{text}"), Route("r"), lambda _: None
    )
    arms = Counter(served.predict()[1]["x-fairtrial-arm"] for _ in range(60))
    assert set(arms) == {"one", "two"}
    until(lambda: Counter(served.asked())["s/predict"] == 60, 10, "each request is mirrored once")
