"""The REST paths of the Open Inference Protocol on a real server, all of them and what is near them: the
status, and for every refusal `{"error": <sentence>}`, whoever answers it."""

from __future__ import annotations

import gzip
import json

import httpx
import pytest

ROW = [0.0] * 64
SENT = {"inputs": [{"name": "x", "shape": [1, 64], "datatype": "FP64", "data": ROW}]}
MODEL = "/v2/models/digits"
READ = ["/v2", "/v2/health/live", "/v2/health/ready", MODEL, f"{MODEL}/ready"]
INFER = [f"{MODEL}/infer", "/v2/models/infer"]


def assert_error(answer: httpx.Response, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    assert len(answer.json()["error"]) > 8
    assert "Traceback" not in answer.text
    for word in words:
        assert word in answer.json()["error"]


@pytest.mark.parametrize("path", READ)
def test_what_is_read_answers_to_get_and_head_and_says_so(client, path):
    assert client.get(path).status_code == 200
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    options = client.options(path)
    assert (options.status_code, options.content) == (204, b"")
    assert options.headers["allow"] == "GET, HEAD, OPTIONS"


def test_the_servers_metadata_names_it_and_its_extensions(client):
    said = client.get("/v2").json()
    assert set(said) == {"name", "version", "extensions"}
    assert isinstance(said["extensions"], list)
    assert "binary_tensor_data" in said["extensions"]


@pytest.mark.parametrize("path", INFER)
def test_inference_is_asked_for_by_post(client, path):
    answer = client.post(path, json={**SENT, "id": "7"})
    assert answer.status_code == 200
    said = answer.json()
    assert set(said) == {"model_name", "id", "outputs"}
    assert (said["model_name"], said["id"]) == ("digits", "7")
    assert set(said["outputs"][0]) == {"name", "shape", "datatype", "parameters", "data"}
    assert client.options(path).headers["allow"] == "POST, OPTIONS"


def test_an_answer_without_an_id_is_given_one_of_its_own(client):
    ids = [client.post(INFER[0], json=SENT).json()["id"] for _ in range(3)]
    assert len(set(ids)) == 3
    assert all(len(each) == 36 for each in ids)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", READ)
def test_reading_is_not_done_by_other_methods(client, method, path):
    assert_error(client.request(method, path, json={}), 405)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_inference_is_not_done_by_other_methods(client, method):
    answer = client.request(method, INFER[0])
    assert_error(answer, 405, method, "POST")
    assert answer.headers["allow"] == "POST, OPTIONS"
    assert client.head(INFER[0]).status_code == 405


@pytest.mark.parametrize(
    "path",
    ["/v2/models/other", "/v2/models/other/ready", f"{MODEL}/versions/9", f"{MODEL}/versions/9/ready",
     "/v2/models/infer", "/v2/models", "/v2/nothing", "/", "/v3", "/v2/models/digits/nothing",
     "/v2/models/%2e%2e%2fetc", "/v2/models/ü"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(client, path):
    assert_error(client.get(path), 404)


@pytest.mark.parametrize(
    "path", ["/v2/models/other/infer", f"{MODEL}/versions/9/infer", "/v2/models/other/versions/1/infer"]
)
def test_a_model_or_version_that_is_not_there_is_not_found_by_inference(client, path):
    assert_error(client.post(path, json=SENT), 404)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/x-www-form-urlencoded", "text/plain", "application/octet-stream", "??"],
)
def test_the_body_is_json_whatever_it_is_called(client, content_type):
    body = json.dumps(SENT).encode()
    assert client.post(INFER[0], content=body, headers={"content-type": content_type}).status_code == 200
    assert_error(client.post(INFER[0], content=b"a=1", headers={"content-type": content_type}), 400)


def test_an_encoding_that_is_not_known_is_said_so(client):
    answer = client.post(INFER[0], content=b"x", headers={"content-encoding": "br"})
    assert_error(answer, 415, "br", "gzip")
    half = gzip.compress(json.dumps(SENT).encode())[:-9]
    assert_error(client.post(INFER[0], content=half, headers={"content-encoding": "gzip"}), 400, "gzip")


DEEP = b"[" * 100_000 + b"]" * 100_000
ODD = {
    "nested deeply": b'{"inputs": [{"name": "x", "shape": [1, 64], "datatype": "FP64", "data": '
    + DEEP
    + b"}]}",
    "nested deeply all through": DEEP,
    "nested deeply in parameters": json.dumps({**SENT, "parameters": {"a": 0}}).encode()[:-2] + DEEP + b"}}",
    "invalid UTF-8": b'{"inputs": [{"name": "\xff", "shape": [1], "datatype": "FP64", "data": [1]}]}',
    "half a surrogate": b'{"inputs": [{"name": "\\ud800", "shape": [1], "datatype": "FP64", "data": [1]}]}',
    "NaN": json.dumps(SENT).replace("0.0", "NaN", 1).encode(),
    "minus infinity": json.dumps(SENT).replace("0.0", "-Infinity", 1).encode(),
    "a huge integer": json.dumps(SENT).replace("0.0", "1" + "0" * 400, 1).encode(),
    "an integer of ten thousand digits": json.dumps(SENT).replace("0.0", "1" * 10_000, 1).encode(),
    "a huge shape": json.dumps(SENT).replace("64", "1" + "0" * 40, 1).encode(),
    "a shape of many axes": json.dumps(SENT).replace("[1, 64]", str([1] * 1000), 1).encode(),
    "a fraction in the shape": json.dumps(SENT).replace("[1, 64]", "[1, 64.5]", 1).encode(),
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(SENT).encode(),
    "two documents": json.dumps(SENT).encode() * 2,
    "null": b"null",
    "a content type that is a list": json.dumps({**SENT, "parameters": {"content_type": []}}).encode(),
    "an id that is a number": json.dumps({**SENT, "id": 7}).encode(),
    "zeros": b"\0" * 100,
}


@pytest.mark.parametrize("case", ODD)
def test_odd_json_is_refused_and_never_an_internal_error(client, case):
    assert_error(client.post(INFER[0], content=ODD[case]), 400)


@pytest.mark.parametrize("case", ["nested deeply all through", "invalid UTF-8", "NaN", "null"])
@pytest.mark.parametrize("path", [f"{MODEL}/generate", "/v2/repository/index"])
def test_paths_of_mlservers_own_refuse_in_the_same_shape(client, path, case):
    answer = client.post(path, content=ODD[case], headers={"content-type": "application/json"})
    assert_error(answer, 400)


def test_of_a_key_that_is_there_twice_the_last_counts(client):
    twice = b'{"id": "a", "inputs": 3, "id": "b", "inputs": ' + json.dumps(SENT["inputs"]).encode() + b"}"
    answer = client.post(INFER[0], content=twice)
    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        assert answer.json()["id"] == "b"


def test_a_body_over_the_limit_is_refused_and_the_next_is_answered(start, digits_file):
    served = start(digits_file, parameters={"max_body": "20KB"}).wait_ready()
    large = {**SENT, "parameters": {"padding": "x" * 30_000}}
    packed = gzip.compress(json.dumps(large).encode())
    assert len(packed) < 20_000

    def chunks():
        for _ in range(40):
            yield b" " * 1000

    with httpx.Client(base_url=served.url, timeout=60) as client:
        for path in (INFER[0], f"{MODEL}/generate"):
            assert_error(client.post(path, json=large), 413, "20000")
            assert_error(client.post(path, content=chunks()), 413, "20000")
            assert client.post(INFER[0], json=SENT).status_code == 200
        assert_error(
            client.post(INFER[0], content=packed, headers={"content-encoding": "gzip"}), 413, "20000"
        )
        bomb = gzip.compress(b" " * 50_000_000)
        assert_error(client.post(INFER[0], content=bomb, headers={"content-encoding": "gzip"}), 413)
    assert "Traceback" not in served.errors()
