"""How a plan is told to people."""

from __future__ import annotations

from collections.abc import Mapping

from fairtrial.controller.progression import Step


def in_words(weights: Mapping[str, int]) -> str:
    """`90% v1, 10% v2`"""
    return ", ".join(f"{percent}% {arm}" for arm, percent in weights.items())


def split_in_words(step: Step) -> str:
    """`100% v1, 0% v2; 100% copied to v2`"""
    copied = f"; {step.shadow.percent}% copied to {step.shadow.arm}" if step.shadow else ""
    return in_words(step.weights) + copied
