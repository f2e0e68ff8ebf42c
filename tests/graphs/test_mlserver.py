"""The local backend with the model server that runs in production: MLServer, started by fairtrial_servers."""

import http.client
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import joblib
import psutil
import pytest
from fairtrial_graphs.backends.interface import ArmEndpoint, NotReady, Route, Serving
from fairtrial_graphs.backends.local import LocalBackend
from fairtrial_graphs.build import Arm, build, with_local_uris
from fairtrial_servers.launch import model_server
from graphs.processes import called, descendants, has_ended, until
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub
from sklearn.dummy import DummyRegressor

DEPLOYMENT = build(
    "numbers",
    [
        Arm("seven", "seven.joblib", "SKLEARN_SERVER", replicas=2),
        Arm("eight", "eight.joblib", "SKLEARN_SERVER"),
    ],
    {"seven": 50, "eight": 50},
)
BODY = json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1.0, 2.0]}]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name, constant in (("seven", 7.0), ("eight", 8.0)):
        model = DummyRegressor(strategy="constant", constant=constant).fit([[0.0, 0.0]], [constant])
        joblib.dump(model, folder / f"{name}.joblib")
    return folder


@pytest.fixture(scope="module")
def backend(folder: Path) -> Iterator[LocalBackend]:
    with LocalBackend(folder / "run", model_server) as backend:
        yield backend


@pytest.fixture
def serving(backend: LocalBackend, folder: Path) -> Serving:
    return backend.apply(with_local_uris(DEPLOYMENT, folder), Route("r"), lambda _: None)


def infer(url: str) -> tuple[int, str | None, str | None, Any]:
    """Status, the arm by its header, the arm by its node name, and the prediction."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request("POST", "/v2/models/numbers/infer", BODY, {"content-type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        arm = response.getheader("x-fairtrial-arm")
        if response.status != 200:
            return response.status, arm, None, None
        answer = json.loads(text)
        return response.status, arm, answer["model_name"], answer["outputs"][0]["data"][0]
    finally:
        connection.close()


def test_the_split_reaches_both_models_by_any_name(serving: Serving):
    seen = {infer(serving.url) for _ in range(40)}
    assert seen == {(200, "seven", "seven", 7.0), (200, "eight", "eight", 8.0)}


def test_each_arm_answers_at_its_own_address_by_rest_and_grpc(serving: Serving):
    for name, expected in (("seven", 7.0), ("eight", 8.0)):
        assert infer(serving.arms[name].url) == (200, name, name, expected)
        assert infer_by_grpc(serving.arms[name]) == (name, expected)


def infer_by_grpc(arm: ArmEndpoint) -> tuple[str, float]:
    assert arm.grpc is not None
    tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP64", shape=[1, 2])
    tensor.contents.fp64_contents.extend([1.0, 2.0])
    with grpc.insecure_channel(arm.grpc) as channel:
        request = pb.ModelInferRequest(model_name=arm.model, inputs=[tensor])
        answer = GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=30)
    return answer.model_name, answer.outputs[0].contents.fp64_contents[0]


def test_a_model_that_is_not_there_is_told_and_the_others_go_on(
    backend: LocalBackend, serving: Serving, folder: Path
):
    missing = build(
        "numbers",
        [
            Arm("seven", "seven.joblib", "SKLEARN_SERVER", replicas=2),
            Arm("nine", "nine", "SKLEARN_SERVER"),
        ],
    )
    with pytest.raises(NotReady, match=r"predictor nine is not ready: .*no model at .*nine"):
        backend.apply(with_local_uris(missing, folder), Route("r2"), lambda _: None)
    assert infer(serving.arms["eight"].url)[0] == 200


def test_killed_servers_come_back_and_a_replica_is_not_missed_meanwhile(
    backend: LocalBackend, serving: Serving
):
    killed = [server("eight@"), server("replica-1")]
    for process in killed:
        process.kill()
    until(lambda: all(map(has_ended, killed)), 5, "end of the servers")
    deadline = time.monotonic() + 60
    failed = 0
    while infer(serving.arms["eight"].url)[0] != 200 or not takes_requests(server("replica-1")):
        failed += not _answers_as_seven(serving)
        assert time.monotonic() < deadline
    # Envoy may send one on a connection of which it has not yet read that it is closed.
    assert failed <= 1
    assert infer_by_grpc(serving.arms["eight"]) == ("eight", 8.0)
    assert sorted(incident.predictor or "" for incident in backend.incidents()) == ["eight", "seven"]


def _answers_as_seven(serving: Serving) -> bool:
    arm = serving.arms["seven"]
    try:
        return infer(arm.url) == (200, "seven", "seven", 7.0) and infer_by_grpc(arm) == ("seven", 7.0)
    except grpc.RpcError:
        return False


def server(folder: str) -> psutil.Process:
    return called(descendants(os.getpid()), f"{os.sep}{folder}")


def takes_requests(process: psutil.Process) -> bool:
    """Whether Envoy has connections to it."""
    its = {c.laddr.port for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    envoy = called(descendants(os.getpid()), "bootstrap.json")
    return any(c.raddr and c.raddr.port in its for c in envoy.net_connections("tcp"))


def test_grpc_is_split_at_the_same_address_whatever_model_the_call_names(serving: Serving):
    request = pb.ModelInferRequest(model_name="numbers", id="7")
    tensor = request.inputs.add(name="x", shape=[1, 2], datatype="FP64")
    tensor.contents.fp64_contents.extend([1.0, 2.0])
    answered: set[tuple[str, str | None, str | None]] = set()
    with grpc.insecure_channel(serving.url.removeprefix("http://")) as channel:
        stub = GRPCInferenceServiceStub(channel)
        for _ in range(40):
            answer, call = stub.ModelInfer.with_call(request, timeout=10)
            said = dict(call.initial_metadata())
            answered.add((answer.model_name, said.get("x-fairtrial-arm"), said.get("x-fairtrial-revision")))
        assert stub.ModelReady(pb.ModelReadyRequest(name="numbers"), timeout=10).ready
        assert stub.ModelMetadata(pb.ModelMetadataRequest(name="numbers"), timeout=10).name in serving.arms
    assert answered == {("seven", "seven", "r"), ("eight", "eight", "r")}


def test_a_grpc_call_with_a_bad_message_is_the_callers_error_through_the_split(serving: Serving):
    request = pb.ModelInferRequest(model_name="numbers")
    request.inputs.add(name="x", shape=[1, 2], datatype="NONSENSE")
    with grpc.insecure_channel(serving.url.removeprefix("http://")) as channel:
        with pytest.raises(grpc.RpcError) as error:
            GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=10)
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
