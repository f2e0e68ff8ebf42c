"""How often, and how soon, what dies is started again. Time is a number here."""

from fairtrial_graphs.backends.interface import Incident, NotReady
from fairtrial_graphs.backends.local.supervision import FORGIVEN_AFTER, RESTARTS, Supervised


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Process:
    """Stands for a GuardedProcess that is told when to die."""

    dead = False

    def exit_code(self) -> int | None:
        return 1 if self.dead else None

    def describe_end(self) -> str:
        return "ended with exit code 1: oops"


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.process = Process()
        self.restarted_at: list[float] = []
        self.refuses = False
        self.supervised = Supervised(
            "the model server of v1", "v1", lambda: self.process, self.restart, self.clock
        )

    def restart(self) -> None:
        if self.refuses:
            raise NotReady("no port")
        self.process.dead = False
        self.restarted_at.append(self.clock.now)

    def run(self, seconds: float) -> list[Incident]:
        """Watch every 50 ms."""
        told: list[Incident] = []
        for _ in range(round(seconds / 0.05)):
            if (incident := self.supervised.watch()) is not None:
                told.append(incident)
            self.clock.now += 0.05
        return told


def test_what_lives_is_left_alone():
    bench = Bench()
    assert bench.run(100) == []
    assert bench.restarted_at == []
    assert not bench.supervised.is_down()


def test_the_first_death_is_answered_at_once():
    bench = Bench()
    bench.process.dead = True
    assert bench.supervised.is_down()
    (incident,) = bench.run(0.5)
    assert incident == Incident(
        "v1", "the model server of v1 ended with exit code 1: oops; started again (1 of 5)", restarted=True
    )
    assert bench.restarted_at == [0.05]
    assert not bench.supervised.is_down()


def test_deaths_in_a_row_wait_longer_each_time_and_are_given_up_at_last():
    bench = Bench()
    told: list[Incident] = []
    for _ in range(RESTARTS + 1):
        bench.process.dead = True
        told += bench.run(8.5)
    assert [incident.restarted for incident in told] == [True] * RESTARTS + [False]
    assert told[-1].message.endswith("oops; given up after 5 restarts in a row")
    waits = [at - 8.5 * number for number, at in enumerate(bench.restarted_at)]
    assert all(abs(wait - expected) < 0.11 for wait, expected in zip(waits, [0, 0.5, 1, 2, 4], strict=True))
    assert bench.supervised.given_up
    assert bench.run(100) == []


def test_a_long_life_is_forgiven_what_came_before():
    bench = Bench()
    for _ in range(3 * RESTARTS):
        bench.process.dead = True
        (incident,) = bench.run(FORGIVEN_AFTER + 1)
        assert "started again (1 of 5)" in incident.message


def test_a_restart_that_fails_counts_as_a_death():
    bench = Bench()
    bench.refuses = bench.process.dead = True
    (incident,) = bench.run(60)
    assert incident.message == (
        "the model server of v1 could not be started again: no port; given up after 5 restarts in a row"
    )
