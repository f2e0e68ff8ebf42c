"""Whose turn it is to judge, of many runs in one process.

Python lets one thread compute at a time. Hundreds that want to hand that right to each other thousands of
times a second, and a look takes up to twice the processor time: so they judge one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

_T = TypeVar("_T")


def in_turn(found: Iterator[_T], turn: AbstractContextManager[object]) -> Iterator[_T]:
    """The same, each computed within `turn`; what is done with them is not."""
    while True:
        with turn:
            try:
                each = next(found)
            except StopIteration:
                return
        yield each
