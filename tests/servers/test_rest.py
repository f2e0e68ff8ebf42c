"""What clients of the V2 REST protocol see of a scikit-learn model on a real MLServer."""

from __future__ import annotations

import concurrent.futures
import gzip
import json

import httpx
import numpy as np
import pytest

PATH = "/v2/models/digits/infer"


def tensor(data, shape, datatype="FP64", name="input-0"):
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": data}


def body(data, shape, **more):
    return {"inputs": [tensor(data, shape, **more)]}


ROW = [0.0] * 64


def with_element(value):
    return body([value, *ROW[1:]], [1, 64])


def test_predictions_equal_the_estimators_own(client, digits, digits_model):
    rows, _ = digits
    sent = {
        **body(rows[:50].ravel().tolist(), [50, 64]),
        "outputs": [{"name": "predict"}, {"name": "predict_proba"}],
    }
    answer = client.post(PATH, json=sent).raise_for_status().json()
    labels, probabilities = answer["outputs"]
    assert (labels["name"], labels["datatype"], labels["shape"]) == ("predict", "INT64", [50, 1])
    assert labels["data"] == digits_model.predict(rows[:50]).tolist()
    assert (probabilities["name"], probabilities["shape"]) == ("predict_proba", [50, 10])
    expected = digits_model.predict_proba(rows[:50]).ravel()
    assert np.abs(np.array(probabilities["data"]) - expected).max() <= 1e-6


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "INT64", "UINT8"])
def test_any_numeric_datatype_flat_or_nested_gives_the_same_answer(client, digits, digits_model, datatype):
    rows = digits[0][:3]
    cast = (lambda value: value) if datatype.startswith("FP") else int
    nested = [[cast(value) for value in row] for row in rows.tolist()]
    flat = [value for row in nested for value in row]
    expected = digits_model.predict(rows).tolist()
    for data in (nested, flat):
        answer = client.post(PATH, json=body(data, [3, 64], datatype=datatype, name="any name"))
        assert answer.raise_for_status().json()["outputs"][0]["data"] == expected


def test_the_answer_names_the_model_and_repeats_the_id(client):
    answer = client.post(PATH, json={**body(ROW, [1, 64]), "id": "abc-1"})
    assert answer.json()["model_name"] == "digits"
    assert answer.json()["id"] == "abc-1"
    assert answer.headers["ce-requestid"] == "abc-1"


def test_a_body_needs_no_content_type_and_may_be_compressed(client):
    plain = json.dumps(body(ROW, [1, 64])).encode()
    assert client.post(PATH, content=plain).status_code == 200
    packed = client.post(PATH, content=gzip.compress(plain), headers={"content-encoding": "gzip"})
    assert packed.status_code == 200


def test_metadata_says_what_the_model_takes_and_gives(client):
    metadata = client.get("/v2/models/digits").raise_for_status().json()
    assert metadata["platform"] == "sklearn"
    assert [(each["name"], each["datatype"], each["shape"]) for each in metadata["inputs"]] == [
        ("input-0", "FP64", [-1, 64])
    ]
    assert [(each["name"], each["datatype"], each["shape"]) for each in metadata["outputs"]] == [
        ("predict", "INT64", [-1, 1]),
        ("predict_proba", "FP64", [-1, 10]),
    ]


def test_health_and_metrics_answer(client, server):
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/digits/ready"):
        assert client.get(path).status_code == 200
    client.post(PATH, json=body(ROW, [1, 64])).raise_for_status()
    metrics = httpx.get(f"http://127.0.0.1:{server.metrics}/metrics").text
    assert 'model_infer_request_success_total{model="digits"' in metrics


MALFORMED = {
    "too narrow": body(ROW[1:], [1, 63]),
    "too wide": body([*ROW, 0.0], [1, 65]),
    "one axis": body(ROW, [64]),
    "three axes": body(ROW, [1, 8, 8]),
    "no axes": body(ROW, []),
    "a string": with_element("seven"),
    "a null": with_element(None),
    "a boolean": with_element(True),
    "an object": with_element({}),
    "a list among numbers": with_element([1.0]),
    "a huge integer": with_element(10**400),
    "an integer out of range": body([300, *[0] * 63], [1, 64], datatype="INT8"),
    "a negative unsigned integer": body([-1, *[0] * 63], [1, 64], datatype="UINT64"),
    "a fraction as integer": body([0.5, *[0] * 63], [1, 64], datatype="INT64"),
    "wrong datatype": body(["a"] * 64, [1, 64], datatype="BYTES"),
    "unknown datatype": body(ROW, [1, 64], datatype="FP128"),
    "empty batch": body([], [0, 64]),
    "negative size": body(ROW, [-1, 64]),
    "more data than its shape": body(ROW * 2, [1, 64]),
    "less data than its shape": body(ROW, [2, 64]),
    "astronomic shape": body(ROW, [10**18, 64]),
    "ragged lists": body([ROW, ROW[1:]], [2, 64]),
    "nested otherwise than its shape": body([[ROW]], [1, 64]),
    "data is no list": body("0" * 64, [1, 64]),
    "data is null": body(None, [1, 64]),
    "no data": {"inputs": [{"name": "x", "shape": [1, 64], "datatype": "FP64"}]},
    "no shape": {"inputs": [{"name": "x", "data": ROW, "datatype": "FP64"}]},
    "no inputs": {"inputs": []},
    "inputs missing": {"id": "1"},
    "inputs null": {"inputs": None},
    "two inputs": {"inputs": [tensor(ROW, [1, 64]), tensor(ROW, [1, 64], name="b")]},
    "unknown output": {**body(ROW, [1, 64]), "outputs": [{"name": "gradient"}]},
    "unprintable id": {**body(ROW, [1, 64]), "id": "a\r\nx-evil: 1"},
    "id in another script": {**body(ROW, [1, 64]), "id": "号"},
    "parameters of the wrong type": {**body(ROW, [1, 64]), "parameters": {"headers": 3}},
    "a list": [1, 2],
    "a number": 3,
}

RAW = {
    "empty body": b"",
    "half a document": b'{"inputs": [{"name"',
    "not utf-8": b'{"inputs": "\xff\xfe"}',
    "NaN": json.dumps(with_element(float("nan"))).encode(),
    "infinity": json.dumps(with_element(float("inf"))).encode(),
    "overflowing number": json.dumps(body(ROW, [1, 64])).replace("0.0", "1e999", 1).encode(),
    "deeply nested": b'{"inputs": ' + b"[" * 5000 + b"]" * 5000 + b"}",
}


def assert_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 400, answer.text
    assert list(answer.json()) == ["error"]
    assert len(answer.json()["error"]) > 10
    assert "Traceback" not in answer.text
    assert ".py" not in answer.text


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_request_is_refused_with_a_reason(client, case):
    content = json.dumps(MALFORMED[case]).encode()
    assert_refused(client.post(PATH, content=content, headers={"content-type": "application/json"}))


@pytest.mark.parametrize("case", RAW)
def test_a_body_that_is_no_request_is_refused_with_a_reason(client, case):
    assert_refused(client.post(PATH, content=RAW[case], headers={"content-type": "application/json"}))


def test_a_false_gzip_body_is_refused(client):
    assert_refused(client.post(PATH, content=b"not gzip", headers={"content-encoding": "gzip"}))


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (MALFORMED["too narrow"], ["64", "63"]),
        (MALFORMED["one axis"], ["[-1, 64]", "[64]"]),
        (MALFORMED["a string"], ["FP64", "string", "position 0"]),
        (MALFORMED["unknown output"], ["gradient", "predict_proba"]),
        (MALFORMED["wrong datatype"], ["FP64", "BYTES"]),
    ],
)
def test_a_refusal_says_what_was_expected_and_what_came(client, sent, words):
    error = client.post(PATH, json=sent).json()["error"]
    assert all(word in error for word in words), error


def test_unknown_models_and_paths_are_not_found(client):
    missing = client.post("/v2/models/other/infer", json=body(ROW, [1, 64]))
    assert (missing.status_code, list(missing.json())) == (404, ["error"])
    nowhere = client.get("/v3")
    assert (nowhere.status_code, list(nowhere.json())) == (404, ["error"])


def test_a_bad_request_leaves_its_neighbours_alone(client, server, digits, digits_model):
    rows = digits[0]

    def ask(index: int) -> tuple[int, bool]:
        if index % 3 == 0:
            return client.post(PATH, json=MALFORMED["a string"]).status_code, True
        answer = client.post(PATH, json=body(rows[index].tolist(), [1, 64]))
        return answer.status_code, answer.json()["outputs"][0]["data"] == [
            digits_model.predict(rows[[index]])[0]
        ]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(60)))
    assert [status for status, _ in answers] == [400 if index % 3 == 0 else 200 for index in range(60)]
    assert all(right for _, right in answers)
    assert "Traceback" not in server.errors()
