"""Strings, in binary and in JSON, and the content types of MLServer's codecs: honoured, or refused with a
sentence that says which there are."""

from __future__ import annotations

import asyncio
import base64
import json
import struct

import joblib
import pytest
from fairtrial_servers.serving.binary import read_binary, to_binary
from fairtrial_servers.serving.grpc_messages import to_request, to_response
from fairtrial_servers.serving.messages import Answer, Request, Tensor
from fairtrial_servers.sklearn import SKLearnRuntime
from mlserver.errors import InferenceError
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.settings import ModelSettings
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

PATH = "/v2/models/digits/infer"


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> SKLearnRuntime:
    """A model of strings: the word that is in the text."""
    path = tmp_path_factory.mktemp("texts") / "model.joblib"
    words = ["good film", "bad film", "good", "bad"]
    joblib.dump(make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(words, ["+", "-", "+", "-"]), path)
    runtime = SKLearnRuntime(
        ModelSettings(name="t", implementation=SKLearnRuntime, parameters={"uri": str(path)})
    )
    asyncio.run(runtime.load())
    return runtime


def respond(runtime, request: Request):
    outputs, _ = asyncio.run(runtime.respond(request))
    return Answer("t", None, "1", outputs)


def strings(*values):
    return b"".join(struct.pack("<I", len(each)) + each for each in values)


def framed(size, count):
    """The JSON of a request for `count` strings that follow it in `size` bytes."""
    carried = {"binary_data_size": size}
    return json.dumps(
        {"inputs": [{"name": "x", "shape": [count], "datatype": "BYTES", "parameters": carried}]}
    ).encode()


def test_strings_in_binary_both_ways(texts):
    raw = strings(b"bad", b"good film")
    head = framed(len(raw), 2)
    answer = respond(texts, read_binary(head + raw, str(len(head))))
    body, length = to_binary(answer, True)
    assert body[length:] == strings(b"-", b"+")
    message = pb.ModelInferRequest(raw_input_contents=[raw])
    message.inputs.add(name="x", shape=[2, 1], datatype="BYTES")
    response = to_response(respond(texts, to_request(message)), True)
    assert list(response.raw_output_contents) == [strings(b"-", b"+")]
    bad = framed(6, 1)
    with pytest.raises(InferenceError, match="UTF-8"):
        respond(texts, read_binary(bad + strings(b"\xff\xfe"), str(len(bad))))


def text(*values, content_type=None, of_request=None, datatype="BYTES"):
    own = {"content_type": content_type} if content_type else None
    every = {"content_type": of_request} if of_request else None
    return Request([Tensor("x", [len(values)], datatype, own, list(values))], parameters=every)


@pytest.mark.parametrize(
    "request_",
    [text("bad"), text("bad", content_type="str"), text("bad", of_request="str"),
     text("bad", of_request="np"), text("bad", content_type="raw"), text("bad", of_request="pd"),
     text(b"bad", content_type="str"),
     text(base64.b64encode(b"bad").decode(), content_type="base64"),
     text(base64.b64encode(b"bad").decode(), of_request="base64"),
     text("bad", content_type="str", of_request="base64")],
)  # fmt: skip
def test_strings_by_content_type(texts, request_):
    assert respond(texts, request_).outputs[0][1].tolist() == ["-"]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (text("bad", content_type="base64"), "not valid base64"),
        (text("b$d", of_request="base64"), "not valid base64"),
        (text(3, content_type="base64"), "not valid base64"),
        (text(1.0, content_type="str", datatype="FP64"), "is for datatype BYTES, got FP64"),
        (text("bad", content_type="datetime"), "unknown content_type 'datetime'; known here are base64, np"),
        (text("bad", content_type="pd"), "unknown content_type 'pd'"),
        (text("bad", of_request="pd_json"), "unknown content_type 'pd_json'"),
        (
            Request([Tensor("x", [1, 2], "FP64", None, [1, 2])], parameters={"content_type": "pd"}),
            "is a column",
        ),
    ],
)
def test_a_content_type_that_does_not_fit_is_refused(texts, request_, words):
    with pytest.raises(InferenceError, match=words):
        respond(texts, request_)


def test_a_frame_is_one_tensor_for_each_column(client, digits, digits_model):
    rows = digits[0][:3]
    columns = [
        {"name": f"x{index}", "shape": [3, 1], "datatype": "FP64", "data": rows[:, index].tolist()}
        for index in range(64)
    ]
    answer = client.post(PATH, json={"inputs": columns, "parameters": {"content_type": "pd"}})
    assert answer.status_code == 200, answer.text
    assert answer.json()["outputs"][0]["data"] == digits_model.predict(rows).tolist()
    columns[5]["shape"] = [1, 3]
    refused = client.post(PATH, json={"inputs": columns, "parameters": {"content_type": "pd"}})
    assert refused.status_code == 400
    assert "x5" in refused.json()["error"]
