"""Adaptive batching: who shares a call of the model, who gets which answer, and that nobody pays for the
mistake of another; the gathering alone, and on a real server over REST and gRPC."""

from __future__ import annotations

import asyncio
import concurrent.futures

import grpc
import httpx
import numpy as np
import pytest
from fairtrial_servers.errors import ServerError
from fairtrial_servers.serving.batching import Batcher
from fairtrial_servers.serving.options import Batching, batching_of
from fairtrial_servers.sklearn import SKLearnRuntime
from mlserver.errors import InferenceError
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub
from mlserver.settings import ModelSettings


class Doubling:
    """A model of one input that remembers how many rows each call had, and refuses negative numbers."""

    def __init__(self):
        self.calls = []

    def __call__(self, inputs, outputs):
        rows = inputs["x"]
        self.calls.append(len(rows))
        if (rows < 0).any():
            raise InferenceError("negative")
        return {name: rows * 2 for name in outputs}


def rows(*numbers, width=1, dtype="float64"):
    return {"x": np.repeat(np.array(numbers, dtype=dtype)[:, None], width, axis=1)}


def gather(model, requests, *, most=8, seconds=0.01):
    """What each of the requests, all begun in the same moment, is answered or raises."""

    async def run():
        batcher = Batcher(model, Batching(most, seconds))
        asked = [batcher.infer(inputs, outputs) for inputs, outputs in requests]
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(run())


def firsts(answers, name="y"):
    return [answer[name][:, 0].tolist() for answer in answers]


def test_requests_that_wait_together_share_one_call():
    model = Doubling()
    answers = gather(model, [(rows(1), ["y"]), (rows(2, 3), ["y"]), (rows(4), ["y"])])
    assert firsts(answers) == [[2], [4, 6], [8]]
    assert model.calls == [4]


def test_a_full_batch_does_not_wait_for_its_time():
    model = Doubling()
    answers = gather(model, [(rows(n), ["y"]) for n in range(4)], most=2, seconds=3600)
    assert firsts(answers) == [[0], [2], [4], [6]]
    assert model.calls == [2, 2]


def test_a_batch_never_exceeds_its_size_and_a_larger_request_goes_alone():
    model = Doubling()
    gather(model, [(rows(1, 2, 3), ["y"]), (rows(4, 5), ["y"]), (rows(*range(9)), ["y"])], most=4)
    assert sorted(model.calls) == [2, 3, 9]


def test_the_guilty_request_alone_gets_the_error():
    model = Doubling()
    answers = gather(model, [(rows(1), ["y"]), (rows(-1), ["y"]), (rows(2), ["y"])])
    assert firsts([answers[0], answers[2]]) == [[2], [4]]
    assert isinstance(answers[1], InferenceError)
    assert model.calls == [3, 1, 1, 1]


def test_rows_of_other_widths_types_or_outputs_are_not_put_together():
    model = Doubling()
    requests = [
        (rows(1), ["y"]),
        (rows(2, width=3), ["y"]),
        (rows(3, dtype="float32"), ["y"]),
        (rows(4), ["z"]),
        (rows(5), ["y"]),
    ]
    answers = gather(model, requests)
    assert model.calls == [2, 1, 1, 1]
    assert answers[2]["y"].dtype == np.float32
    assert [list(answer) for answer in answers] == [["y"], ["y"], ["y"], ["z"], ["y"]]


def test_a_model_that_answers_with_one_row_for_all_is_asked_one_by_one():
    calls = []

    def mean(inputs, outputs):
        calls.append(len(inputs["x"]))
        return {"y": inputs["x"].mean(axis=0, keepdims=True)}

    answers = gather(mean, [(rows(1, 3), ["y"]), (rows(5, 7), ["y"])])
    assert firsts(answers) == [[2], [6]]
    assert calls == [4, 2, 2]


def test_what_waits_is_bounded_whatever_shapes_come():
    model = Doubling()

    async def run():
        batcher = Batcher(model, Batching(4, 3600))
        tasks = [asyncio.create_task(batcher.infer(rows(n, width=n), ["y"])) for n in range(1, 41)]
        await asyncio.sleep(0)
        answered = sum(task.done() for task in tasks) or len(model.calls)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return answered

    assert asyncio.run(run()) == 8  # of 40 rows no more than 8 batches of 4 are left waiting


def test_a_caller_that_left_is_not_computed_and_disturbs_nobody():
    model = Doubling()

    async def run():
        batcher = Batcher(model, Batching(8, 0.01))
        gone, staying = (asyncio.create_task(batcher.infer(rows(n), ["y"])) for n in (-1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        answer = await staying
        assert gone.cancelled()
        return answer

    assert asyncio.run(run())["y"].tolist() == [[4]]
    assert model.calls == [1]


@pytest.mark.parametrize(
    ("parameters", "settings", "expected"),
    [
        ({}, (0, 0.0), None),
        ({"max_batch_size": "1"}, (0, 0.0), None),
        ({"max_batch_size": "0"}, (16, 0.1), None),
        ({"max_batch_size": "8", "max_batch_time": "5ms"}, (0, 0.0), Batching(8, 0.005)),
        ({"max_batch_size": "8", "max_batch_time": "0.01"}, (0, 0.0), Batching(8, 0.01)),
        ({}, (16, 0.1), Batching(16, 0.1)),
    ],
)
def test_parameters_and_mlservers_settings_switch_it_on(parameters, settings, expected):
    assert batching_of(parameters, *settings) == expected


@pytest.mark.parametrize(
    "wrong", [{"max_batch_size": "many"}, {"max_batch_size": "8", "max_batch_time": "soon"}]
)
def test_a_parameter_that_is_no_number_is_said_so(wrong):
    with pytest.raises(ServerError, match=list(wrong)[-1]):
        batching_of(wrong, 0, 0.0)


def test_mlservers_own_batching_stays_out_of_the_way():
    settings = ModelSettings(name="m", implementation=SKLearnRuntime, max_batch_size=8, max_batch_time=0.1)
    assert SKLearnRuntime(settings).settings.max_batch_size == 0


def test_a_real_server_batches_over_rest_and_grpc(start, digits, digits_file, digits_model):
    served = start(digits_file, parameters={"max_batch_size": "16", "max_batch_time": "20ms"}).wait_ready()
    data = digits[0][:48]
    expected = digits_model.predict_proba(data)

    def rest(index):
        row = data[index].tolist()
        if index % 5 == 0:
            row[3] = None
        sent = {
            "inputs": [{"name": "x", "shape": [1, 64], "datatype": "FP64", "data": row}],
            "outputs": [{"name": "predict_proba" if index % 2 else "predict"}],
        }
        answer = client.post("/v2/models/digits/infer", json=sent)
        return answer.status_code, answer.json()

    whole = {"inputs": [{"name": "x", "shape": [1, 64], "datatype": "FP64", "data": data[0].tolist()}]}

    def rpc(index):
        row = data[index].copy()
        if index % 5 == 0:
            row[3] = np.nan  # found by the model itself, in the batch
        asked = pb.ModelInferRequest(model_name="digits", raw_input_contents=[row.tobytes()])
        asked.inputs.add(name="x", shape=[1, 64], datatype="FP64")
        asked.outputs.add(name="predict_proba")
        try:
            return np.frombuffer(stub.ModelInfer(asked).raw_output_contents[0])
        except grpc.RpcError as error:
            return error.code()

    with (
        httpx.Client(base_url=served.url, timeout=60) as client,
        grpc.insecure_channel(f"127.0.0.1:{served.grpc}") as channel,
        concurrent.futures.ThreadPoolExecutor(32) as pool,
    ):
        stub = GRPCInferenceServiceStub(channel)
        # Some leave before they are answered.
        raw = [data[0].tobytes()]
        leaving = pb.ModelInferRequest(model_name="digits", raw_input_contents=raw)
        leaving.inputs.add(name="x", shape=[1, 64], datatype="FP64")
        for _ in range(5):
            stub.ModelInfer.future(leaving).cancel()
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v2/models/digits/infer", json=whole, timeout=0.001)
        answers = pool.map(rest, range(48)), pool.map(rpc, range(48))
        for index, (status, content) in enumerate(answers[0]):
            assert status == (400 if index % 5 == 0 else 200), content
            if status == 200:
                given = content["outputs"][0]["data"]
                wanted = expected[index] if index % 2 else digits_model.predict(data[[index]])
                assert np.abs(np.array(given) - wanted).max() < 1e-9
        for index, given in enumerate(answers[1]):
            if index % 5 == 0:
                assert given == grpc.StatusCode.INVALID_ARGUMENT
            else:
                assert np.abs(given - expected[index]).max() < 1e-9
    assert "Traceback" not in served.errors()
