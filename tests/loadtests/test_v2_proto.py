"""V2's messages by hand are those that MLServer's own classes write and read."""

import json

import numpy as np
import pytest
from fairtrial_loadtests.errors import BadLoadError
from fairtrial_loadtests.scoring import answer_in, read_answer
from fairtrial_loadtests.v2 import TensorSpec
from fairtrial_loadtests.v2_proto import (
    infer_request,
    metadata_request,
    read_infer_response,
    read_metadata_response,
)
from loadtests.messages_of_v2 import v2

VALUES = {
    "BOOL": ("bool_contents", [True, False, True]), "INT8": ("int_contents", [-5, 0, 127]),
    "INT32": ("int_contents", [-(2**31), 3, 2**31 - 1]),
    "INT64": ("int64_contents", [-(2**63), 7, 2**63 - 1]),
    "UINT8": ("uint_contents", [0, 200, 255]), "UINT64": ("uint64_contents", [0, 1, 2**64 - 1]),
    "FP32": ("fp32_contents", [0.5, -2.25, 1e10]), "FP64": ("fp64_contents", [0.1, -1e300, 3.0]),
    "BYTES": ("bytes_contents", [b"Ulm \xc3\xbc", b"", b"x" * 300]),
}  # fmt: skip


@pytest.mark.parametrize("datatype", VALUES)
def test_a_request_is_what_the_server_reads(datatype):
    field, values = VALUES[datatype]
    data = [value.decode() if isinstance(value, bytes) else value for value in values]
    body = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": datatype, "data": data}]}
    read = v2.ModelInferRequest.FromString(infer_request("wine", json.dumps(body).encode()))
    assert (read.model_name, read.inputs[0].name, read.inputs[0].datatype) == ("wine", "x", datatype)
    assert list(read.inputs[0].shape) == [1, 3]
    assert list(getattr(read.inputs[0].contents, field)) == values


@pytest.mark.parametrize("datatype", VALUES)
def test_an_answer_is_read_as_the_server_wrote_it(datatype):
    field, values = VALUES[datatype]
    output = {"name": "predict", "datatype": datatype, "shape": [3], "contents": {field: values}}
    written = v2.ModelInferResponse(model_name="v1", id="7", outputs=[output])
    read = read_infer_response(written.SerializeToString())
    assert read["model_name"] == "v1"
    data = [value.decode() if isinstance(value, bytes) else value for value in values]
    assert read["outputs"][0]["data"] == data


def test_raw_contents_are_read_too():
    outputs = [{"name": n, "datatype": d, "shape": [2]} for n, d in (("a", "FP32"), ("b", "BYTES"))]
    raw = [np.array([1.5, 2.5], "<f4").tobytes(), b"\x02\x00\x00\x00hi\x00\x00\x00\x00"]
    read = read_infer_response(
        v2.ModelInferResponse(outputs=outputs, raw_output_contents=raw).SerializeToString()
    )
    assert [output["data"] for output in read["outputs"]] == [[1.5, 2.5], ["hi", ""]]


def test_an_answer_is_scored_as_the_same_answer_by_rest():
    for datatype, field, data in (
        ("INT64", "int64_contents", [3]),
        ("FP64", "fp64_contents", [0.2, 0.7, 0.1]),
    ):
        output = {"name": "predict", "datatype": datatype, "shape": [len(data)], "contents": {field: data}}
        message = v2.ModelInferResponse(model_name="v1", outputs=[output]).SerializeToString()
        tensor = {"name": "predict", "datatype": datatype, "shape": [len(data)], "data": data}
        body = json.dumps({"model_name": "v1", "outputs": [tensor]}).encode()
        assert answer_in(read_infer_response(message)) == read_answer(body)


def test_metadata_are_read_with_the_word_that_any_name_will_do():
    inputs = [
        {"name": "x", "datatype": "FP64", "shape": [-1, 4], "parameters": {"any_name": {"bool_param": True}}},
        {
            "name": "y",
            "datatype": "BYTES",
            "shape": [-1],
            "parameters": {"content_type": {"string_param": "str"}},
        },
    ]
    written = v2.ModelMetadataResponse(name="v1", versions=["1"], platform="p", inputs=inputs)
    assert read_metadata_response(written.SerializeToString()).inputs == (
        TensorSpec("x", "FP64", (-1, 4), True),
        TensorSpec("y", "BYTES", (-1,), False),
    )
    assert v2.ModelMetadataRequest.FromString(metadata_request("wine")).name == "wine"


@pytest.mark.parametrize("message", [b"\x0a", b"\x0a\x05ab", b"\xff" * 12, b"\x0f", b"\x28\x01"])
def test_what_is_no_message_is_told(message):
    with pytest.raises(ValueError, match=r".+"):
        read_infer_response(message)


def test_a_datatype_that_grpc_has_no_field_for_is_refused():
    body = b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP16","data":[1.0]}]}'
    with pytest.raises(BadLoadError, match="by REST"):
        infer_request("wine", body)
