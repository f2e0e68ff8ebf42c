"""A clock that the test moves."""

from dataclasses import dataclass


@dataclass
class StoppedClock:
    time: float = 1_750_000_000.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
