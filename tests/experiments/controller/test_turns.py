"""Runs of one process judge one after the other, and nobody keeps the turn longer than a look."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from fairtrial.controller.turns import in_turn


def test_it_is_held_while_a_look_is_computed_and_not_while_it_is_acted_upon() -> None:
    turn = threading.Lock()
    computing: list[bool] = []

    def looks() -> Iterator[int]:
        for number in range(3):
            computing.append(turn.locked())
            yield number

    acting = [(number, turn.locked()) for number in in_turn(looks(), turn)]
    assert computing == [True] * 3
    assert acting == [(number, False) for number in range(3)]
    assert not turn.locked()


def test_what_a_look_raises_gives_the_turn_back() -> None:
    turn = threading.Lock()

    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(in_turn(broken(), turn))
    assert not turn.locked()
