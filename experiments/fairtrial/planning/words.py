"""How a plan is told to people."""

from __future__ import annotations

from collections.abc import Mapping


def in_words(weights: Mapping[str, int]) -> str:
    """`90% v1, 10% v2`"""
    return ", ".join(f"{percent}% {arm}" for arm, percent in weights.items())
