"""Tensors in binary, over REST (the binary tensor data extension) and gRPC (raw contents), and the content
types of MLServer's codecs: the same answers as from JSON, and a sentence for what does not add up."""

from __future__ import annotations

import base64
import json
import struct

import grpc
import httpx
import numpy as np
import pytest
from fairtrial_servers.serving.binary import HEADER, pack, unpack
from fairtrial_servers.serving.grpc_messages import to_request, to_response
from fairtrial_servers.serving.messages import Answer, Tensor, to_json
from fairtrial_servers.tensor_specs import NUMPY, TensorSpec
from fairtrial_servers.tensors import decode
from mlserver.errors import InferenceError
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub

PATH = "/v2/models/digits/infer"


def packed(head, *parts, length=None):
    """Body and headers of a binary request."""
    start = json.dumps(head).encode()
    said = str(len(start) if length is None else length)
    return {"content": start + b"".join(parts), "headers": {HEADER: said}}


def entry(size, shape=(1, 64), datatype="FP64", name="x", **more):
    return {"name": name, "shape": list(shape), "datatype": datatype,
            "parameters": {"binary_data_size": size}, **more}  # fmt: skip


def parts_of(answer: httpx.Response):
    """The JSON of a binary answer, and its outputs by name (bytes, or a list where it is in the JSON)."""
    length = int(answer.headers[HEADER])
    head, rest = json.loads(answer.content[:length]), answer.content[length:]
    found = {}
    for output in head["outputs"]:
        size = output["parameters"].get("binary_data_size")
        found[output["name"]] = output.get("data") if size is None else rest[:size]
        rest = rest[size or 0 :]
    assert not rest
    return head, found


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16", "INT64", "INT8", "UINT16"])
def test_rest_takes_every_numeric_datatype_in_binary(client, digits, digits_model, datatype):
    rows = digits[0][:4].astype(NUMPY[datatype])
    raw = rows.tobytes()
    sent = packed({"inputs": [entry(len(raw), rows.shape, datatype)]}, raw)
    answer = client.post(PATH, **sent)
    assert answer.status_code == 200, answer.text
    assert answer.json()["outputs"][0]["data"] == digits_model.predict(rows.astype(float)).tolist()


def test_rest_answers_in_binary_where_that_is_asked_for(client, digits, digits_model):
    rows = digits[0][:4]
    asked = {"inputs": [entry(rows.nbytes, rows.shape)], "id": "7"}
    expected = digits_model.predict_proba(rows)
    every = {**asked, "parameters": {"binary_data_output": True}, "outputs": [{"name": "predict_proba"}]}
    answer = client.post(PATH, **packed(every, rows.tobytes()))
    assert answer.headers["content-type"] == "application/octet-stream"
    head, found = parts_of(answer)
    assert head["id"] == "7"
    assert np.abs(np.frombuffer(found["predict_proba"]).reshape(4, 10) - expected).max() < 1e-12
    one = {"outputs": [{"name": "predict"}, {"name": "predict_proba", "parameters": {"binary_data": True}}]}
    head, found = parts_of(client.post(PATH, **packed({**asked, **one}, rows.tobytes())))
    assert found["predict"] == digits_model.predict(rows).tolist()
    assert len(found["predict_proba"]) == 4 * 10 * 8
    # Asked for by JSON alone, without a header of its own.
    plain = {"inputs": [{"name": "x", "shape": [4, 64], "datatype": "FP64", "data": rows.ravel().tolist()}]}
    _, found = parts_of(client.post(PATH, json={**plain, "parameters": {"binary_data_output": True}}))
    assert np.frombuffer(found["predict"], "int64").tolist() == digits_model.predict(rows).tolist()


RAW = b"\0" * 512
MALFORMED = {
    "header longer than the body": packed({"inputs": [entry(512)]}, RAW, length=10_000),
    "header in the middle of the JSON": packed({"inputs": [entry(512)]}, RAW, length=20),
    "header beyond the JSON": packed({"inputs": [entry(512)]}, RAW, length=130),
    "header of zero": packed({"inputs": [entry(512)]}, RAW, length=0),
    "header no number": packed({"inputs": [entry(512)]}, RAW, length="ten"),
    "header negative": packed({"inputs": [entry(512)]}, RAW, length=-5),
    "header of another script": packed({"inputs": [entry(512)]}, RAW, length="9" * 30),
    "no header": {"content": json.dumps({"inputs": [entry(512)]}).encode()},
    "no header, but bytes": {"content": json.dumps({"inputs": [entry(512)]}).encode() + RAW},
    "size too small for the shape": packed({"inputs": [entry(8)]}, RAW[:8]),
    "size too large for the shape": packed({"inputs": [entry(520)]}, RAW + RAW[:8]),
    "size beyond the body": packed({"inputs": [entry(512)]}, RAW[:100]),
    "bytes that nobody claims": packed({"inputs": [entry(512)]}, RAW, b"more"),
    "sizes that overlap": packed({"inputs": [entry(512), entry(512, name="y")]}, RAW, RAW[:100]),
    "size negative": packed({"inputs": [entry(-512)]}, RAW),
    "size no number": packed({"inputs": [entry("512")]}, RAW),
    "size a fraction": packed({"inputs": [entry(512.0)]}, RAW),
    "size true": packed({"inputs": [entry(True)]}, RAW),
    "data as well": packed({"inputs": [entry(512, data=[0.0] * 64)]}, RAW),
    "shape negative": packed({"inputs": [entry(512, [-1, -64])]}, RAW),
    "shape astronomic": packed({"inputs": [entry(512, [10**30, 64])]}, RAW),
    "unknown datatype": packed({"inputs": [entry(512, datatype="FP128")]}, RAW),
    "strings for numbers": packed({"inputs": [entry(512, datatype="BYTES")]}, RAW),
    "not a number": packed({"inputs": [entry(512)]}, np.full(64, np.nan).tobytes()),
    "binary_data_output no boolean": packed(
        {"inputs": [entry(512)], "parameters": {"binary_data_output": "yes"}}, RAW
    ),
    "binary_data no boolean": packed(
        {"inputs": [entry(512)], "outputs": [{"name": "predict", "parameters": {"binary_data": 1}}]}, RAW
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_binary_that_does_not_add_up_is_refused_with_a_reason(client, case):
    answer = client.post(PATH, **MALFORMED[case])
    assert answer.status_code == 400, answer.text
    assert list(answer.json()) == ["error"]
    assert len(answer.json()["error"]) > 10
    assert "Traceback" not in answer.text


VALUES = {
    **{name: np.array([1, 2, 3]).astype(dtype) for name, dtype in NUMPY.items() if name != "BYTES"},
    "BOOL": np.array([True, False, True]),
    "BYTES": np.array([b"", "ü".encode(), b"a" * 300], dtype=object),
}


@pytest.mark.parametrize("datatype", VALUES)
def test_bytes_and_back_in_every_datatype(datatype):
    values = VALUES[datatype]
    got = unpack(Tensor("x", [3], datatype), pack(values))
    assert got.tolist() == values.tolist()
    assert got.dtype == NUMPY[datatype]
    assert datatype == "BYTES" or got.flags.writeable


def test_an_answer_is_the_same_in_json_whatever_the_order_of_its_bytes_or_axes():
    values = np.arange(6.0).reshape(2, 3)
    for array in (values, np.asfortranarray(values), values.astype(">f8"), values[:, ::-1][:, ::-1]):
        (output,) = json.loads(to_json(Answer("m", None, "1", [("y", array)])))["outputs"]
        assert (output["datatype"], output["shape"], output["data"]) == ("FP64", [2, 3], [0, 1, 2, 3, 4, 5])


def test_what_json_has_no_word_for_is_a_null_and_bytes_that_are_no_text_are_base64():
    odd = np.array([np.nan, np.inf, 1.5])
    (output,) = json.loads(to_json(Answer("m", None, "1", [("y", odd)])))["outputs"]
    assert output["data"] == [None, None, 1.5]
    blob = np.array([b"\xff", b"a"], dtype=object)
    (output,) = json.loads(to_json(Answer("m", None, "1", [("y", blob)])))["outputs"]
    assert output["parameters"]["content_type"] == "base64"
    assert [base64.b64decode(each) for each in output["data"]] == [b"\xff", b"a"]


def test_a_tensor_need_not_be_aligned_in_the_body():
    body = b"{}x" + np.arange(4.0).tobytes()
    assert unpack(Tensor("x", [4], "FP64"), memoryview(body)[3:]).tolist() == [0, 1, 2, 3]


def test_numbers_in_binary_make_no_object_for_each():
    raw = np.ones((1000, 1000), dtype="float32")
    sent = Tensor("x", [1000, 1000], "FP32")
    sent.data = unpack(sent, pack(raw))
    assert isinstance(sent.data, np.ndarray)
    assert decode(sent, TensorSpec("x", "FP32", (-1, 1000))).base is sent.data  # looked at, not copied
    message = pb.ModelInferRequest(raw_input_contents=[raw.tobytes()])
    message.inputs.add(name="x", shape=[1000, 1000], datatype="FP32")
    assert isinstance(to_request(message).inputs[0].data, np.ndarray)


@pytest.mark.parametrize(
    ("raw", "words"),
    [(b"\5\0\0\0ab", "longer than the bytes"), (b"\1\0", "longer than the bytes"),
     (struct.pack("<I", 1) + b"a", "holds 2 strings, got 1"), (b"\xff\xff\xff\xff", "longer than the bytes")],
)  # fmt: skip
def test_strings_whose_lengths_are_wrong_are_refused(raw, words):
    with pytest.raises(InferenceError, match=words):
        unpack(Tensor("x", [2], "BYTES"), raw)


def test_a_boolean_is_zero_or_one():
    with pytest.raises(InferenceError, match="0 or 1"):
        unpack(Tensor("x", [2], "BOOL"), b"\1\2")


def strings(*values):
    return b"".join(struct.pack("<I", len(each)) + each for each in values)


def test_grpc_takes_raw_and_typed_contents_in_one_request():
    message = pb.ModelInferRequest(raw_input_contents=[np.float16([1.5]).tobytes(), strings(b"a")])
    message.inputs.add(name="half", shape=[1], datatype="FP16")
    message.inputs.add(name="typed", shape=[2], datatype="INT8").contents.int_contents.extend([1, 2])
    message.inputs.add(name="text", shape=[1], datatype="BYTES")
    half, typed, words = to_request(message).inputs
    assert half.data.dtype == np.float16
    assert typed.data == [1, 2]
    assert words.data.tolist() == [b"a"]


def test_grpc_answers_halves_in_raw_contents_for_they_have_no_typed_ones():
    answer = Answer("m", "2", "1", [("y", np.float16([[1.5]])), ("z", np.array(["a"], dtype=object))])
    response = to_response(answer, False)
    assert [len(raw) for raw in response.raw_output_contents] == [2, 5]
    assert response.model_version == "2"
    typed = to_response(Answer("m", None, "1", [("z", np.array(["a"], dtype=object))]), False)
    assert list(typed.outputs[0].contents.bytes_contents) == [b"a"]


def wrong_counts():
    message = pb.ModelInferRequest(model_name="digits", raw_input_contents=[RAW, RAW])
    message.inputs.add(name="x", shape=[1, 64], datatype="FP64")
    yield "two raw contents for one input", message
    message = pb.ModelInferRequest(model_name="digits", raw_input_contents=[RAW])
    message.inputs.add(name="x", shape=[1, 64], datatype="FP64").contents.fp64_contents.extend([0.0] * 64)
    yield "raw contents and typed ones for the same input", message
    message = pb.ModelInferRequest(model_name="digits")
    contents = message.inputs.add(name="x", shape=[1, 64], datatype="FP64").contents
    contents.fp64_contents.extend([0.0] * 64)
    contents.fp32_contents.extend([0.0] * 64)
    yield "typed contents in two fields", message
    message = pb.ModelInferRequest(model_name="digits", raw_input_contents=[RAW])
    message.inputs.add(name="x", shape=[1, 64], datatype="FP32")
    yield "raw contents of another datatype's length", message


@pytest.mark.parametrize("case", dict(wrong_counts()))
def test_grpc_contents_that_do_not_add_up_are_refused_with_a_reason(server, case):
    with (
        grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel,
        pytest.raises(grpc.RpcError) as refused,
    ):
        GRPCInferenceServiceStub(channel).ModelInfer(dict(wrong_counts())[case])
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert len(refused.value.details()) > 20
