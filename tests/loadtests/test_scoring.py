"""Answers become predictions, and predictions scores."""

import json

import pytest
from fairtrial_loadtests.scoring import Scorer, Scores, read_answer


def response(data, datatype="INT64", **extra):
    output = {"name": "predict", "shape": [1], "datatype": datatype, "data": data}
    return json.dumps({"model_name": "m1", "outputs": [output], **extra}).encode()


def score(target, data, datatype="INT64", others=()):
    return Scorer([target, *others]).score(0, read_answer(response(data, datatype)))


@pytest.mark.parametrize(
    ("target", "data", "datatype", "right"),
    [
        (3, [3], "INT64", 1.0),
        (3, [4], "INT64", 0.0),
        (3.0, [3], "INT64", 1.0),
        (3, [[3]], "INT64", 1.0),
        ("cat", ["cat"], "BYTES", 1.0),
        ("cat", ["dog"], "BYTES", 0.0),
        ("3", [3.0], "FP64", 1.0),
        (3, ["3"], "BYTES", 1.0),
        (True, [1], "INT64", 1.0),
        (False, [True], "BOOL", 0.0),
        (2, [0.1, 0.2, 0.7], "FP32", 1.0),
        (0, [[0.1, 0.2, 0.7]], "FP32", 0.0),
    ],
)
def test_a_class_is_right_or_wrong(target, data, datatype, right):
    assert score(target, data, datatype) == Scores(score=right)


def test_probabilities_cannot_be_told_from_a_class_in_words():
    assert score("cat", [0.1, 0.9], "FP32") == Scores()


def test_a_target_with_fractions_anywhere_is_measured_by_its_error_only():
    assert score(3.0, [5], "FP64", others=[0.5]) == Scores(None, 2.0, 4.0)


def test_a_whole_number_and_a_floating_output_are_measured_both_ways():
    assert score(3, [5.5], "FP64") == Scores(0.0, 2.5, 6.25)
    assert score(3, [3.0], "FP64") == Scores(1.0, 0.0, 0.0)


def test_a_failed_request_is_a_wrong_score_and_has_no_error():
    assert Scorer([3]).score(0, None) == Scores(score=0.0)
    assert Scorer([3.5]).score(0, None) == Scores()


def test_nothing_is_scored_without_a_target():
    assert Scorer(None).score(0, None) == Scores()
    assert Scorer([None, 1]).score(0, read_answer(response([1]))) == Scores()


def test_the_output_called_predict_is_the_prediction():
    outputs = [
        {"name": "predict_proba", "shape": [1, 2], "datatype": "FP64", "data": [0.9, 0.1]},
        {"name": "predict", "shape": [1], "datatype": "INT64", "data": [1]},
    ]
    answer = read_answer(json.dumps({"outputs": outputs}).encode())
    assert answer is not None
    assert (answer.prediction, answer.model) == (1, "")


def test_the_answer_names_its_model_and_keeps_its_text_short():
    answer = read_answer(response(["x" * 1000], "BYTES"))
    assert answer is not None
    assert answer.model == "m1"
    assert answer.text == "x" * 200
    assert read_answer(response([2.0], "FP64")).text == "2"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"outputs": []}', b'{"outputs": [{"name": "predict", "data": []}]}',
     b'{"outputs": [{"name": "predict", "data": [null]}]}', b'{"outputs": [{"name": "predict", "data": 3}]}',
     b'{"outputs": [{"data": [3]}]}', b'{"outputs": [{"name": "predict", "data": [1, "x"]}]}'],
)  # fmt: skip
def test_an_answer_that_is_no_v2_response_is_unreadable(body):
    assert read_answer(body) is None
