"""Request bodies follow what the model says that it takes."""

import json

import pyarrow as pa
import pytest
from fairtrial_loadtests.dataset import Dataset
from fairtrial_loadtests.errors import BadLoadError
from fairtrial_loadtests.payload import encoder_for
from fairtrial_loadtests.plan import Requests, UnitIn
from fairtrial_loadtests.prepared import PreparedRequests
from fairtrial_loadtests.v2 import ModelMetadata, TensorSpec
from pyarrow import parquet


@pytest.fixture
def data(tmp_path):
    def make(**columns):
        path = tmp_path / "data.parquet"
        parquet.write_table(pa.table(columns), path)
        return Dataset(Requests(path))

    return make


def declared(*inputs):
    return ModelMetadata(tuple(TensorSpec(*each) for each in inputs))


def body(encoder, row):
    return json.loads(encoder.encode(row))


def test_one_two_dimensional_input_takes_the_features_as_a_matrix_in_file_order(data):
    encoder = encoder_for(
        "v1", declared(("predict", "FP64", (-1, 3))), data(b=[1, 2], a=[0.5, 0.25], c=[True, False])
    )
    assert body(encoder, 1) == {
        "inputs": [{"name": "predict", "shape": [1, 3], "datatype": "FP64", "data": [2.0, 0.25, 0.0]}]
    }


def test_a_model_that_declares_nothing_is_sent_a_matrix(data):
    assert body(encoder_for("v1", declared(), data(a=[1], b=[2])), 0) == {
        "inputs": [{"name": "input-0", "shape": [1, 2], "datatype": "FP64", "data": [1.0, 2.0]}]
    }


def test_the_matrix_has_the_datatype_that_the_model_declares(data):
    [tensor] = body(encoder_for("v1", declared(("x", "INT64", (-1, 2))), data(a=[1], b=[2])), 0)["inputs"]
    assert tensor["datatype"] == "INT64"
    assert [type(value) for value in tensor["data"]] == [int, int]


def test_several_inputs_are_taken_from_the_columns_of_their_names(data):
    metadata = declared(("city", "BYTES", (-1, 1)), ("age", "INT64", (-1, 1)), ("rate", "FP32", (-1,)))
    encoder = encoder_for("v1", metadata, data(age=[41], unused=["?"], rate=[2], city=['Ulm \u00fc"']))
    assert body(encoder, 0)["inputs"] == [
        {"name": "city", "shape": [1, 1], "datatype": "BYTES", "data": ['Ulm ü"']},
        {"name": "age", "shape": [1, 1], "datatype": "INT64", "data": [41]},
        {"name": "rate", "shape": [1], "datatype": "FP32", "data": [2.0]},
    ]


def test_a_number_goes_into_a_text_input_as_text(data):
    metadata = declared(("code", "BYTES", (-1,)), ("x", "FP64", (-1,)))
    assert body(encoder_for("v1", metadata, data(code=[7], x=[1.0])), 0)["inputs"][0]["data"] == ["7"]


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (
            declared(("p", "FP64", (-1, 11))),
            r"has 2 feature columns \(a, word\), but the model of arm 'v2' takes 11",
        ),
        (declared(("p", "FP64", (-1, -1))), "has text in column 'word'"),
        (
            declared(("a", "FP64", (-1,)), ("b", "FP64", (-1,))),
            "has no column 'b', which the model of arm 'v2'",
        ),
        (declared(("a", "FP64", (-1,)), ("word", "FP64", (-1,))), "has text in column 'word'"),
    ],
)
def test_data_that_the_model_does_not_take_is_refused(data, metadata, said):
    with pytest.raises(BadLoadError, match=said):
        encoder_for("v2", metadata, data(a=[1.0], word=["x"]))


def test_a_prepared_request_is_a_whole_http_request_with_its_units_header(data):
    encoder = encoder_for("v1", declared(), data(a=[1.0, 2.0]))
    prepared = PreparedRequests(
        "http://example.test:81/base/", "my model", encoder,
        headers={"X-Team": "risk"}, unit_in=UnitIn("header", "x-user"), units=["ann", None],
    )  # fmt: skip
    head, _, payload = prepared[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /base/v2/models/my%20model/infer HTTP/1.1"
    assert {"Host: example.test:81", "X-Team: risk", "x-user: ann", f"Content-Length: {len(payload)}"} < set(
        lines
    )
    assert b"x-user" not in prepared[1]
    assert prepared[0] is prepared[0]


@pytest.mark.parametrize(
    ("way", "path", "header"),
    [
        (UnitIn("cookie", "who"), "/v2/models/m/infer", "Cookie: who=ann%3B%20b"),
        (UnitIn("key", "who"), "/v2/models/m/infer?who=ann%3B%20b", None),
    ],
)
def test_a_unit_may_go_out_in_a_cookie_or_a_query_parameter(data, way, path, header):
    encoder = encoder_for("v1", declared(), data(a=[1.0, 2.0]))
    prepared = PreparedRequests(
        "http://a.test", "m", encoder, headers={}, unit_in=way, units=["ann; b", None]
    )
    lines = prepared[0].partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert lines[0] == f"POST {path} HTTP/1.1"
    assert [line for line in lines if line.startswith("Cookie")] == ([header] if header else [])
    assert b"who" not in prepared[1].partition(b"\r\n\r\n")[0]


def test_what_is_kept_is_bounded(data, monkeypatch):
    monkeypatch.setattr("fairtrial_loadtests.prepared._MAX_BYTES", 600)
    prepared = PreparedRequests(
        "http://a.test", "m", encoder_for("v1", declared(), data(a=[1.0] * 9)), headers={}
    )
    assert len({prepared[row] for row in range(9)}) == 1
    assert prepared[0] is prepared[0]
    assert prepared[8] is not prepared[8]


@pytest.mark.parametrize("headers", [{"X": "a\r\nY: b"}, {"X:\r\n": "a"}, {"": "a"}])
def test_headers_that_would_forge_others_are_refused(data, headers):
    with pytest.raises(BadLoadError, match="cannot be sent"):
        PreparedRequests("http://a.test", "m", encoder_for("v1", declared(), data(a=[1.0])), headers=headers)
