"""Ports that nobody uses."""

from __future__ import annotations

import errno
import random
import socket
import threading
from collections import deque

# Below the range that Linux (32768 up) and macOS (49152 up) give to outgoing connections, so that none of
# those can take a port between its choice and its use.
_RANGE = range(20_000, 32_768)
_random = random.SystemRandom()
_lock = threading.Lock()
_recent: deque[int] = deque(maxlen=256)  # chosen, and perhaps not yet bound


def free_ports(count: int) -> tuple[int, ...]:
    """Distinct ports that are free now on 127.0.0.1, and were not handed out a moment ago."""
    chosen: list[int] = []
    with _lock:
        for port in _random.sample(_RANGE, len(_RANGE)):
            if len(chosen) == count:
                break
            if port not in _recent and is_free(port):
                chosen.append(port)
                _recent.append(port)
    if len(chosen) < count:
        raise OSError(errno.EADDRINUSE, f"no free port between {_RANGE.start} and {_RANGE.stop} on 127.0.0.1")
    return tuple(chosen)


def is_free(port: int) -> bool:
    """Whether a server could bind this port of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Without it connections that ended a moment ago (TIME_WAIT) would count as users of the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
