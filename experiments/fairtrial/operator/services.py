"""What all runs of one operator share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fairtrial_graphs.backends.interface import Backend
from fairtrial_graphs.backends.kubernetes.api import Api

from fairtrial.operator.events import Events
from fairtrial.operator.feed import FeedFactory

#: Makes a backend for (namespace, run id, take over, clock); the clock may raise to end what waits.
BackendFactory = Callable[[str, str, bool, Callable[[], float]], Backend]
#: (namespace, SeldonDeployment, arms) -> by arm, why it has no ready pod.
DownArms = Callable[[str, str, Sequence[str]], Mapping[str, str]]


@dataclass(frozen=True)
class Services:
    """Durations are in seconds."""

    api: Api
    events: Events
    operator: str  # the name of this replica
    leading: Callable[[], bool]
    new_backend: BackendFactory
    new_feed: FeedFactory
    down: DownArms
    scratch: Path  # for observations while they are read; nothing in it need survive
    now: Callable[[], float] = time.time
    patience: float = 1.0  # between two looks for new observations
    look_every: float = 30.0  # between two writes of looks alone
    unready_limit: float = 60.0  # that a candidate may be down
    quiet_limit: float = 120.0  # without observations, until it is told
    pauses: Sequence[float] = (1.0, 2.0, 5.0, 15.0, 30.0)  # before what was thrown out is taken up again
    turn: threading.Lock = field(default_factory=threading.Lock)  # to judge, of one run after the other
