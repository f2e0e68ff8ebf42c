"""The reference: a fixed computation that is timed on the machine while a run goes on.

It is a little of what servers of models do: text is parsed, numbers are added, bytes are hashed. What it
takes says how fast the machine is at the moment, and nothing of any model.
"""

from __future__ import annotations

import hashlib
import json
import platform
import statistics
import time

_DOCUMENT = json.dumps({"inputs": [{"shape": [1, 64], "data": [i / 7 for i in range(64)]}] * 4})
_BYTES = bytes(range(256)) * 256
#: Of so many in a row the middle one counts: a moment in which something else ran is not the machine's speed.
_TIMES = 7
_VERSION = 1


def what() -> str:
    """What was timed: timings of another computation, or by another Python, say nothing here."""
    return f"{_VERSION} {platform.python_implementation()} {platform.python_version()} {platform.machine()}"


def timed() -> float:
    """Seconds that the fixed computation takes now; measuring takes a hundredth of a second."""
    return statistics.median(_once() for _ in range(_TIMES))


def _once() -> float:
    began = time.perf_counter()
    total = 0.0
    for _ in range(4):
        for tensor in json.loads(_DOCUMENT)["inputs"]:
            total += sum(tensor["data"])
    hashlib.sha256(_BYTES + str(total).encode()).digest()
    return time.perf_counter() - began
