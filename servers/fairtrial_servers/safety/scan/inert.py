"""What a pickle is read into: stand-ins, and a record of what it asks for."""

from __future__ import annotations

from typing import Any


class Inert:
    """What stands for a name, or for whatever it would have made."""

    __slots__ = ("args", "made", "name", "state")

    def __init__(self, name: tuple[str, str] = ("", ""), made: bool = False, args: Any = ()) -> None:
        self.name = name
        self.made = made  # an instance of the class of that name, and not the class
        self.args = args
        self.state: Any = None


class Seen:
    """What one file asks for."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, str], None] = {}  # in the order in which they come
        self.extensions: set[int] = set()
        self.calls = 0
        self.arrays = 0  # raw or pickled arrays that joblib keeps between the opcodes
        self.persistent: list[Any] = []  # torch: which tensors' bytes are where
        self.steps = 0
