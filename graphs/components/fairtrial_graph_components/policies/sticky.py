"""Weighted rendezvous hashing (Thaler and Ravishankar 1998; the weights as in Schindelhauer and Schomaker,
Weighted Distributed Hash Tables, SPAA 2005): each arm gets the score weight / -ln(u), where u in (0, 1) is a
hash of the arm and the unit, and the unit goes to the highest.

When weights change, a unit moves from arm i to arm j only if the weight of j grew relative to that of i. So
with two arms, and wherever one arm gains at the cost of the others in proportion, exactly those move that
must. No scheme does better at one pair of weights without doing worse at another (Moulton and Jiang,
Maximally Consistent Sampling and the Jaccard Index of Probability Distributions, ICDM 2018)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence


def arm_of(unit: str, *, names: Sequence[str], weights: Sequence[float], salt: str) -> int:
    """The arm's index. `names` say who an arm is, so that the order does not matter; `salt` keeps trials
    apart."""
    scores = [
        weight / -math.log(_uniform(salt, name, unit)) for name, weight in zip(names, weights, strict=True)
    ]
    return max(range(len(scores)), key=scores.__getitem__)


def _uniform(*parts: str) -> float:
    """A hash in (0, 1), with 53 bits."""
    text = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    bits = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 11
    return (bits + 0.5) / (1 << 53)
