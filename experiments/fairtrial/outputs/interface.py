"""The seam: one format that a CI server reads."""

from __future__ import annotations

from typing import Protocol

from fairtrial.outputs.outcome import Outcome


class Output(Protocol):
    """The whole text of a file. The same outcome gives the same text; nothing in it is left unescaped."""

    def __call__(self, outcome: Outcome) -> str: ...
