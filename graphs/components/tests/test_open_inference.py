"""V2 and seldon payloads, both ways: names, datatypes and values are kept."""

from __future__ import annotations

import pytest
from fairtrial_graph_components.policies.open_inference import seldon_of, v2_of
from fairtrial_graph_components.policies.refusal import Refused


def tensor(name, datatype, shape, data):
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def there_and_back(body):
    payload, remembered = seldon_of(body)
    return v2_of({**payload.message(), "meta": {"tags": {"v2": remembered}}}, field="inputs", model="m")


@pytest.mark.parametrize(
    "inputs",
    [
        [tensor("x", "FP32", [2, 2], [1.0, 2.5, 3.0, 4.0])],
        [tensor("x", "FP64", [3], [1.0, 2.5, 3.0])],
        [tensor("x", "INT64", [2, 1], [2**53 + 1, -5])],
        [tensor("x", "UINT8", [1, 2], [0, 255])],
        [tensor("x", "BOOL", [1, 2], [True, False])],
        [tensor("x", "BYTES", [2], ["a", "ü"])],
        [tensor("x", "FP32", [2, 1, 2], [1.0, 2.0, 3.0, 4.0])],
        [
            tensor("age", "INT32", [2, 1], [3, 4]),
            tensor("name", "BYTES", [2, 1], ["a", "b"]),
            tensor("old", "BOOL", [2, 1], [True, False]),
            tensor("size", "FP32", [2, 1], [1.5, 2.0]),
        ],
    ],
)
def test_what_goes_through_seldon_comes_back_as_it_was(inputs):
    body = {"id": "7", "inputs": inputs}
    assert there_and_back(body) == body


def test_a_table_keeps_its_names():
    columns = [tensor("a", "INT64", [2], [1, 2]), tensor("b", "BYTES", [2], ["x", "y"])]
    message = seldon_of({"inputs": columns})[0].message()
    assert message == {"data": {"names": ["a", "b"], "ndarray": [[1, "x"], [2, "y"]]}}


def test_nested_data_is_read_as_flat():
    assert there_and_back({"inputs": [tensor("x", "FP32", [2, 2], [[1.0, 2.0], [3.0, 4.0]])]})["inputs"][0][
        "data"
    ] == [1.0, 2.0, 3.0, 4.0]


def test_an_answer_has_the_datatypes_of_its_values():
    def datatype(value):
        return v2_of({"data": {"ndarray": value}}, field="outputs", model="m")["outputs"][0]["datatype"]

    kinds = [datatype([1, 2]), datatype([1, 2.5]), datatype([True]), datatype(["a"])]
    assert kinds == ["INT64", "FP64", "BOOL", "BYTES"]
    assert v2_of({"strData": "x"}, field="outputs", model="m")["model_name"] == "m"


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ([], "a list of tensors"),
        ([3], "a tensor must be a JSON object"),
        ([{"datatype": "FP32", "shape": [1], "data": [1]}], "no name"),
        ([tensor("x", "FP8", [1], [1])], "'FP8' is not known"),
        ([tensor("x", "FP32", [2], [1])], "1 values"),
        ([tensor("x", "FP32", [-1], [1])], "whole numbers"),
        ([tensor("x", "FP32", [True], [1])], "whole numbers"),
        ([tensor("x", "INT8", [1], [128])], "128 is no INT8"),
        ([tensor("x", "UINT8", [1], [-1])], "-1 is no UINT8"),
        ([tensor("x", "INT8", [1], [1.5])], "1.5 is no INT8"),
        ([tensor("x", "BOOL", [1], [1])], "1 is no BOOL"),
        ([tensor("x", "BYTES", [1], [1])], "1 is no BYTES"),
        ([tensor("x", "FP32", [1], [float("inf")])], "no finite number"),
        ([{"name": "x", "datatype": "FP32", "shape": [1]}], "binary data is not read"),
        ([tensor("x", "FP32", [1], [1]), tensor("x", "FP32", [1], [1])], "different names"),
        ([tensor("x", "FP32", [1], [1]), tensor("y", "FP32", [2], [1, 2])], "equally many rows"),
        ([tensor("x", "FP32", [1, 2], [1, 2]), tensor("y", "FP32", [1], [1])], "one value for each row"),
    ],
)
def test_a_v2_body_that_is_none_is_refused(inputs, says):
    with pytest.raises(Refused, match=says):
        seldon_of({"inputs": inputs})
