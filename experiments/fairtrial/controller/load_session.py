"""The load of a run: one process at a time, begun again where it was cut off, read as one stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from fairtrial.clock import Clock
from fairtrial.errors import NotReadyError, UsageError
from fairtrial.evidence.arrow import Tabular
from fairtrial.evidence.sources import read_part

#: How often a load process that died may be started again before the run gives up.
_RESTARTS = 3
_POLL_SECONDS = 0.05


class Load(Protocol):
    """A load process, as `fairtrial_loadtests.client` has it."""

    @property
    def alive(self) -> bool: ...
    @property
    def returncode(self) -> int | None: ...
    @property
    def error(self) -> str: ...
    def poll(self) -> Sequence[Path]: ...
    def incidents(self) -> Sequence[str]: ...
    def stop(self) -> int: ...


class StartableLoad(Load, Protocol):
    def start(self) -> None: ...


#: Starts a process that carries on where the recorded observations end.
LoadFactory = Callable[[], Load]


class LoadSession:
    """Reads parts as they appear. `interrupt` is called at every poll and may raise to end the stream."""

    def __init__(
        self,
        factory: LoadFactory,
        clock: Clock,
        *,
        interrupt: Callable[[], None],
        incident: Callable[[str], None],
        time_is_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self._factory = factory
        self._clock = clock
        self._interrupt = interrupt
        self._incident = incident
        self._time_is_up = time_is_up
        self._load: Load | None = None

    def batches(self) -> Iterator[Tabular]:
        """Every part in order, until the load is over.

        Raises UsageError and NotReadyError as the load process says (bad data, no arm to reach), and
        NotReadyError when the process keeps dying.
        """
        restarts = 0
        self._load = self._factory()
        while True:
            finished = not self._load.alive  # asked before the last poll, so that no part is missed
            for path in self._load.poll():
                yield read_part(path)
            for sentence in self._load.incidents():
                self._incident(sentence)
            self._interrupt()
            if self._time_is_up() and not finished:
                self._incident("the load was held up, and is ended where the budget wants it")
                self._load.stop()
                for path in self._load.poll():
                    yield read_part(path)
                return
            if not finished:
                self._clock.sleep(_POLL_SECONDS)
                continue
            code, error = self._load.returncode, self._load.error
            if code == 0:
                return
            if code == UsageError.exit_code:
                raise UsageError(error)
            if code == NotReadyError.exit_code:
                raise NotReadyError(error)
            restarts += 1
            if restarts > _RESTARTS:
                raise NotReadyError(f"the load process died {restarts} times; the last time it said: {error}")
            self._incident(f"the load process ended with code {code} and is started again: {error}")
            self._load = self._factory()

    def stop(self) -> None:
        """End the load, keeping what is in flight. Safe to call twice."""
        if self._load is not None:
            self._load.stop()
