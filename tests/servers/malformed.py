"""Requests that no model of one FP32 input [-1, 64] takes, and a check of a server by them and good ones."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
import httpx
import numpy as np
import pytest
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub

ROW = [0.0] * 64


def tensor(data, shape, datatype="FP32", name="x"):
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": data}


BAD = {
    "wrong width": [tensor([0.0] * 63, [1, 63])],
    "wrong rank": [tensor(ROW, [64])],
    "shape that does not fit the data": [tensor(ROW, [2, 64])],
    "strings": [tensor(["a"] * 64, [1, 64], "BYTES")],
    "strings called numbers": [tensor(["a"] * 64, [1, 64])],
    "a null": [tensor([None, *ROW[1:]], [1, 64])],
    "a boolean": [tensor([True, *ROW[1:]], [1, 64])],
    "an object": [tensor([{}, *ROW[1:]], [1, 64])],
    "ragged": [tensor([ROW, ROW[1:]], [2, 64])],
    "nested too deep": [tensor([[ROW]], [1, 64])],
    "no data": [tensor([], [1, 64])],
    "empty batch": [tensor([], [0, 64])],
    "negative size": [tensor(ROW, [-1, 64])],
    "unknown datatype": [tensor(ROW, [1, 64], "FP128")],
    "a fraction called whole": [tensor([0.5, *ROW[1:]], [1, 64], "INT8")],
    "too large for its datatype": [tensor([300, *[0] * 63], [1, 64], "INT8")],
    "too large for FP32": [tensor([1e39, *ROW[1:]], [1, 64], "FP64")],
    "no inputs": [],
    "two inputs": [tensor(ROW, [1, 64]), tensor(ROW, [1, 64], name="y")],
    "one input twice": [tensor(ROW, [1, 64]), tensor(ROW, [1, 64])],
    "no shape": [{"name": "x", "datatype": "FP32", "data": ROW}],
}


def check_served(served, *, platform: str, source: str, rows: np.ndarray, answers: Mapping[str, np.ndarray]):
    """The server states `source` and `answers`, all FP32, gives them by REST and gRPC, and refuses BAD."""
    with httpx.Client(base_url=served.url, timeout=30) as client:
        about = client.get(f"/v2/models/{served.name}").json()
        assert about["platform"] == platform
        assert [(each["name"], each["datatype"], each["shape"]) for each in about["inputs"]] == [
            (source, "FP32", [-1, 64])
        ]
        assert [(each["name"], each["datatype"], each["shape"]) for each in about["outputs"]] == [
            (name, "FP32", [-1, *array.shape[1:]]) for name, array in answers.items()
        ]
        path = f"/v2/models/{served.name}/infer"
        for few in (rows, rows[:1]):
            sent = {"inputs": [tensor(few.ravel().tolist(), few.shape, name=source)]}
            given = client.post(path, json=sent).raise_for_status().json()["outputs"]
            for each, (name, expected) in zip(given, answers.items(), strict=True):
                assert (each["name"], each["datatype"], each["shape"][0]) == (name, "FP32", len(few))
                assert np.abs(np.array(each["data"]) - expected[: len(few)].ravel()).max() <= 1e-6
        last = list(answers)[-1]
        named = {**sent, "outputs": [{"name": last}]}
        assert [each["name"] for each in client.post(path, json=named).json()["outputs"]] == [last]
        for case, inputs in BAD.items():
            refused = client.post(path, json={"inputs": inputs})
            assert refused.status_code == 400, (case, refused.text)
            assert refused.json()["error"], case
    with grpc.insecure_channel(f"127.0.0.1:{served.grpc}") as channel:
        stub = GRPCInferenceServiceStub(channel)
        asked = pb.ModelInferRequest(model_name=served.name, raw_input_contents=[rows.tobytes()])
        asked.inputs.add(name=source, shape=rows.shape, datatype="FP32")
        raw = stub.ModelInfer(asked).raw_output_contents
        for content, expected in zip(raw, answers.values(), strict=True):
            got = np.frombuffer(content, np.float32).reshape(expected.shape)
            assert np.abs(got - expected).max() <= 1e-6
        asked.raw_input_contents[0] = b"\0"
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(asked)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "Traceback" not in served.errors()
