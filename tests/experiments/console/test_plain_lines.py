"""What a run prints where nobody watches a terminal: CI, pipes."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path

import pytest
from experiments.clocks import StoppedClock
from experiments.histories import BETTER, SLOWER, START, run
from fairtrial.console.plain import PlainLines
from fairtrial.console.summary import summary
from fairtrial.report.history import Event, History

FOLDER = Path("runs/digits-1")
WEIGHTS = {"v1": 0.9, "v2": 0.1}


@pytest.fixture(scope="module")
def slower(tmp_path_factory: pytest.TempPathFactory) -> History:
    return run(tmp_path_factory.mktemp("slower"), SLOWER)


def lines_of(history: History, seconds_per_look: float = 1.0) -> tuple[list[str], list[str]]:
    progress, results = io.StringIO(), io.StringIO()
    clock = StoppedClock(START)
    with PlainLines(progress, results, max_duration=120, clock=clock) as console:
        console.phase("starting v1 and v2")
        clock.sleep(2)
        console.event(Event(clock.now(), "deployed", "v1 and v2 deployed"))
        for verdict in history.verdicts:
            clock.sleep(seconds_per_look)
            console.look(verdict, WEIGHTS)
        console.final(history.verdicts[-1], FOLDER)
    return progress.getvalue().splitlines(), results.getvalue().splitlines()


def test_each_event_is_one_line_with_the_time_since_the_start(slower: History) -> None:
    progress, _ = lines_of(slower)
    assert progress[:2] == ["[ 0:00] starting v1 and v2", "[ 0:02] v1 and v2 deployed"]


def test_progress_is_told_every_few_seconds_and_at_the_decision(slower: History) -> None:
    progress, _ = lines_of(slower)
    looks = [int(found.group(1)) for line in progress if (found := re.search(r"look (\d+):", line))]
    assert looks == [1, 6, 11, slower.verdicts[-1].look]
    assert "900" not in progress[2]
    assert "v1 90% of traffic" in progress[3]
    assert "p99 latency +" in progress[3]
    assert progress[-1].endswith("ROLLBACK")


def test_the_summary_has_verdict_figures_reasons_report_and_exit_code(slower: History) -> None:
    _, results = lines_of(slower)
    text = "\n".join(results)
    assert "ROLLBACK  v2 was rolled back: v1 stays in service." in text
    assert re.search(r"p99 latency +6 ms +8\.03 ms +\+33\.8% +\+10\.4% to \+62\.1% +10% +harmed", text)
    assert slower.verdicts[-1].reasons[0] in " ".join(text.split())
    assert "report     runs/digits-1/report.html" in results
    assert "exit code  10 (rolled back)" in results


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_of_the_summary_fits_its_width(slower: History, width: int) -> None:
    lines = ["".join(text for text, _ in line) for line in summary(slower.verdicts[-1], FOLDER, width)]
    assert max(map(len, lines)) <= width
    assert any(line.lstrip().startswith("p99 latency ") and line.endswith("harmed") for line in lines)
    assert ("margin" in " ".join(lines)) == (width >= 80)


def test_a_promotion_ends_with_exit_code_zero(tmp_path: Path) -> None:
    _, results = lines_of(run(tmp_path, BETTER))
    assert "exit code  0 (promoted)" in results


def test_no_control_character_of_a_name_or_a_log_gets_through(slower: History) -> None:
    progress, results = io.StringIO(), io.StringIO()
    last = dataclasses.replace(slower.verdicts[-1], candidate="v2\x1b[31m\u202e", reasons=("a\x07\nb",))
    with PlainLines(progress, results, max_duration=120, clock=StoppedClock()) as console:
        console.phase("start\x1b]0;title\x07ing\r")
        console.event(Event(0, "incident", "two\nlines\x9b"))
        console.look(last, WEIGHTS)
        console.final(last, FOLDER)
    text = progress.getvalue() + results.getvalue()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert "INCIDENT two lines" in text


def test_a_stream_that_knows_only_ascii_is_no_reason_to_fail(slower: History) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    last = dataclasses.replace(slower.verdicts[-1], candidate="モデル")
    console = PlainLines(stream, stream, max_duration=120, clock=StoppedClock())
    console.look(last, WEIGHTS)
    console.final(last, FOLDER)
    assert b"ROLLBACK  ??? was rolled back" in raw.getvalue()


def test_a_run_without_a_verdict_says_so() -> None:
    results = io.StringIO()
    PlainLines(io.StringIO(), results, max_duration=120, clock=StoppedClock()).final(None, FOLDER)
    assert "The run ended before anything was judged." in results.getvalue()
    assert "exit code  12 (ended without a verdict)" in results.getvalue()
