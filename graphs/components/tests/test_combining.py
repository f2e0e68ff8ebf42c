"""Averages and votes over payloads."""

from __future__ import annotations

import pytest
from fairtrial_graph_components.policies.combining import average, majority
from fairtrial_graph_components.policies.payloads import payload_of
from fairtrial_graph_components.policies.refusal import Refused


def array(value, names=()):
    return payload_of({"data": {"names": list(names), "ndarray": value}})


def tensor(shape, values):
    return payload_of({"data": {"tensor": {"shape": shape, "values": values}}})


def json_data(value):
    return payload_of({"jsonData": value})


def text(value):
    return payload_of({"strData": value})


def test_an_average_keeps_the_shape_and_the_names():
    combined = average([array([[1, 2], [3, 4]], "ab"), array([[3, 4], [5, 8]], "ab")])
    assert combined.message() == {"data": {"names": ["a", "b"], "ndarray": [[2, 3], [4, 6]]}}


def test_an_average_is_weighted():
    assert average([tensor([2], [0, 1]), tensor([2], [4, 1])], [3, 1]).value == [1, 1]


def test_the_average_of_large_numbers_is_a_number():
    assert average([array([1.7e308]), array([1.7e308])]).value == [1.7e308]


def test_of_json_the_numbers_are_averaged():
    combined = average(
        [json_data({"p": [0.2, 0.4], "model": "x"}), json_data({"p": [0.4, 0.6], "model": "x"})]
    )
    assert combined.value["p"] == pytest.approx([0.3, 0.5])
    assert combined.value["model"] == "x"


def test_the_majority_wins_for_each_cell():
    assert majority([array([1, "b"]), array([1, "a"]), array([2, "a"])]).value == [1, "a"]


def test_in_a_tie_the_earliest_child_wins():
    assert majority([text("b"), text("a")]).value == "b"
    assert majority([text("c"), text("a"), text("b"), text("a"), text("b")]).value == "a"
    assert majority([text("x"), text("y"), text("y")], [0.3, 0.1, 0.2]).value == "x"


def test_one_and_true_are_different_votes_and_one_and_1_0_the_same():
    assert majority([array([True]), array([1]), array([1.0])]).value == [1]


def test_scores_vote_for_their_greatest_class():
    rows = [array([[0.9, 0.1]], ["no", "yes"]), array([[0.4, 0.6]], ["no", "yes"]), array([[0.45, 0.55]])]
    assert majority(rows, scores=True).value == ["yes"]
    assert majority([array([[0.9, 0.1]]), array([[0.8, 0.2]])], scores=True).value == [0]


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([array([[1, 2]]), array([[1], [2]])], r"shape \[1, 2\] and answer 2 \[2, 1\]"),
        ([array([1]), text("1")], "answer 1 is ndarray and answer 2 is strData"),
        ([array([[1, 2]], "ab"), array([[1, 2]], "ba")], "in another order"),
        ([array(["1"])], "'1' is no number"),
        ([array([True])], "True is no number"),
        ([array([float("nan")])], "no finite number"),
        ([array([10**400])], "no finite number"),
        ([text("1")], "cannot be averaged"),
        ([json_data({"a": 1}), json_data({"b": 1})], "different fields"),
        ([json_data([1]), json_data([1, 2])], "different lengths"),
        ([json_data({"a": "x"}), json_data({"a": "y"})], "differ in what is no number"),
        ([], "no answer"),
    ],
)
def test_what_cannot_be_averaged_is_refused(answers, says):
    with pytest.raises(Refused, match=says):
        average(answers)
