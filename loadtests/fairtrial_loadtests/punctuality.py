"""What a process that sends a load asks of the interpreter, once everything is imported."""

from __future__ import annotations

import gc
import sys

# Seconds that a thread may keep the interpreter while others want it: the thread that writes the parts
# would otherwise hold up answers for 5 ms at a time, and their latencies would say so.
_SWITCH_INTERVAL = 0.0002


def be_punctual() -> None:
    """Collect garbage, and change threads, in a way that holds up no request."""
    gc.freeze()  # what is imported stays: not to be gone through at every collection
    sys.setswitchinterval(_SWITCH_INTERVAL)
