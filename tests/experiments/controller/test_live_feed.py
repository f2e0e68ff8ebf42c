"""Live traffic through the seam of a load: parts, where reading goes on, and what is waited for."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from experiments.clocks import StoppedClock
from experiments.collect.collectors import NOON, Collector, collecting, predicted
from fairtrial.collect.columns import LIVE_SCHEMA
from fairtrial.controller.live_feed import LiveFeed, ProviderError, Reading
from fairtrial.controller.request_log import RequestLog
from fairtrial.controller.segments import Segments
from fairtrial.errors import UsageError
from fairtrial.evidence.sources import PartsFolder
from fairtrial.experiment.live import Live
from fairtrial.journal.entries import Effect, Entry, Kind
from servers.store.programs import free_port

_LIVE = Live.model_validate({"source": "requestLog", "collector": "http://127.0.0.1:1", "patience": "1m"})


@dataclass
class Script:
    """A source that has observations numbered from 1, as many as `there`; silent while `error` is set."""

    there: int = 0
    error: Exception | None = None
    name: str = "the script"
    asked: list[int | None] = field(default_factory=list)

    def read(self, after: int | None) -> Reading:
        self.asked.append(after)
        if self.error is not None:
            raise self.error
        rows = [
            {"arm": "v1", "time": 1e9 + n, "latency": 0.1, "status": 200, "id": str(n), "sequence": n}
            for n in range((after or 0) + 1, self.there + 1)
        ]
        return Reading(pa.Table.from_pylist(rows, schema=LIVE_SCHEMA))


@dataclass
class Watched:
    """A feed on a clock that is moved, and what it told."""

    folder: Path
    source: Script = field(default_factory=Script)
    live: Live = _LIVE
    clock: StoppedClock = field(default_factory=StoppedClock)
    told: list[str] = field(default_factory=list)

    def feed(self) -> LiveFeed:
        feed = LiveFeed(
            self.source, self.live, self.folder, self.clock,
            segments=lambda times: [f"at-{time - 1e9:g}" for time in times], tell=self.told.append,
        )  # fmt: skip
        feed.start()
        return feed

    def numbers(self) -> list[int]:
        return [
            n for batch in PartsFolder(self.folder).batches() for n in batch.column("sequence").to_pylist()
        ]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "observations")


def later(watched: Watched, feed: LiveFeed, seconds: float = 1.0) -> list[Path]:
    watched.clock.sleep(seconds)
    return feed.poll()


def test_what_is_new_becomes_a_part_and_reading_goes_on_after_it(watched: Watched) -> None:
    feed = watched.feed()
    watched.source.there = 3
    assert [path.name for path in feed.poll()] == ["part-000000.parquet"]
    assert feed.poll() == []  # not asked at every turn
    assert later(watched, feed) == []
    watched.source.there = 5
    assert [path.name for path in later(watched, feed)] == ["part-000001.parquet"]
    assert watched.source.asked == [None, 3, 3]
    assert watched.numbers() == [1, 2, 3, 4, 5]
    first = pq.read_table(watched.folder / "part-000000.parquet")
    assert first.column("segment").to_pylist() == ["at-1", "at-2", "at-3"]
    assert feed.alive
    assert feed.stop() == 0
    assert not feed.alive


def test_a_feed_that_was_killed_goes_on_where_the_parts_end(watched: Watched) -> None:
    watched.source.there = 4
    watched.feed().poll()
    (watched.folder / ".part-000001.parquet.partial").write_bytes(b"half of it")
    watched.source.there = 6
    watched.feed().poll()
    assert watched.numbers() == [1, 2, 3, 4, 5, 6]


def test_an_outage_is_waited_for_and_told_once(watched: Watched) -> None:
    feed = watched.feed()
    watched.source.error = ProviderError("the script does not answer: connection refused")
    for _ in range(1000):
        assert later(watched, feed, 10.0) == []
    assert feed.alive
    watched.source.error, watched.source.there = None, 1
    assert len(later(watched, feed)) == 1
    assert watched.told == [
        "the script does not answer: connection refused; the run waits, and no arm is blamed for it",
        "the script answers again, after 2h46m41s",
    ]


def test_an_outage_can_end_the_run_without_blame(watched: Watched) -> None:
    watched.live = _LIVE.model_copy(update={"on_provider_error": "inconclusive"})
    feed = watched.feed()
    watched.source.error = ProviderError("the script does not answer")
    later(watched, feed, 50.0)
    assert feed.alive
    later(watched, feed, 20.0)
    assert not feed.alive
    assert feed.returncode == 0
    assert watched.told[-1] == (
        "the script has not answered for 1m: the run ends with what it has (onProviderError: inconclusive)"
    )


def test_traffic_that_stays_away_is_waited_for_and_told_once(watched: Watched) -> None:
    feed = watched.feed()
    for _ in range(100):
        later(watched, feed, 10.0)
    watched.source.there = 1
    later(watched, feed)
    assert watched.told == [
        "the script has told of no request for 1m",
        "requests come again, after 16m41s",
    ]
    assert feed.alive


def test_traffic_that_stays_away_can_end_the_run(watched: Watched) -> None:
    watched.live = _LIVE.model_copy(update={"on_no_data": "inconclusive"})
    feed = watched.feed()
    later(watched, feed, 61.0)
    assert feed.returncode == 0
    assert "no request has come for 1m" in watched.told[-1]


def test_an_outage_is_no_lack_of_traffic(watched: Watched) -> None:
    watched.live = _LIVE.model_copy(update={"on_no_data": "inconclusive"})
    feed = watched.feed()
    watched.source.error = ProviderError("the script does not answer")
    later(watched, feed, 500.0)
    watched.source.error = None
    later(watched, feed)
    assert feed.alive


def test_what_is_no_collector_ends_the_run_with_a_sentence(watched: Watched) -> None:
    feed = watched.feed()
    watched.source.error = UsageError("it is no collector")
    later(watched, feed)
    assert (feed.alive, feed.returncode, feed.error) == (False, 2, "it is no collector")


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with collecting(tmp_path / "evidence.db") as found:
        yield found


def test_the_collector_is_read_through_a_kill(collector: Collector, tmp_path: Path) -> None:
    log = RequestLog(collector.url + "/", "team/wine", since=NOON / 1e6, window=1.0)

    def exchange(name: str, at: int) -> None:
        assert (
            collector.tell("request", name, at)
            == collector.tell("response", name, at + 9, predicted(1))
            == 202
        )

    exchange("a", 0)
    first = log.read(None)
    assert first.table.column("id").to_pylist() == ["a@v1"]
    exchange("b", 10)
    collector.end(signal.SIGKILL)
    with pytest.raises(ProviderError, match=r"the collector at http://127.0.0.1:\d+ does not answer: "):
        log.read(1)
    collector.start()
    assert log.read(None).table.column("id").to_pylist() == ["a@v1", "b@v1"]
    assert log.read(1).table.column("id").to_pylist() == ["b@v1"]
    later_on = RequestLog(collector.url, "team/wine", since=(NOON + 5) / 1e6, window=1.0)
    assert later_on.read(None).table.column("id").to_pylist() == ["b@v1"]
    with pytest.raises(UsageError, match="must be a `fairtrial collect`"):
        RequestLog(f"{collector.url}/elsewhere", "team/wine", since=0.0, window=1.0).read(None)


def test_nobody_at_the_address_is_an_outage() -> None:
    with pytest.raises(ProviderError, match="Connection refused"):
        RequestLog(f"http://127.0.0.1:{free_port()}", "team/wine", since=0.0, window=1.0).read(None)


def test_a_request_has_the_split_that_was_in_force_when_it_was_made() -> None:
    def entry(time: float, kind: Kind, effect: Effect, **body: object) -> Entry:
        return Entry(0, time, kind, effect, dict(body))

    label: Callable[..., list[str | None]] = lambda *times: Segments(entries).at(np.array(times))  # noqa: E731
    entries = [
        entry(10.0, Kind.INTENDED, Effect.DEPLOY, revision="step-1"),
        entry(20.0, Kind.DONE, Effect.DEPLOY, revision="step-1"),
        entry(21.0, Kind.DONE, Effect.LOAD),
        entry(40.0, Kind.INTENDED, Effect.SHIFT, revision="step-2"),
        entry(45.0, Kind.DONE, Effect.SHIFT, revision="step-2"),
    ]
    assert label(5.0, 15.0, 21.0) == [None, None, None]
    assert label(23.0, 39.9) == ["step-1", "step-1"]
    assert label(42.0, 46.0) == [None, None]  # on its way
    assert label(48.0, 1e9) == ["step-2", "step-2"]
