"""The live view: fits the terminal, shows what counts, leaves the terminal as it was."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pty
import re
import threading
from pathlib import Path

import pytest
from experiments.clocks import StoppedClock
from experiments.histories import BETTER, SAME, START, Story, run
from fairtrial.console.live import LiveView
from fairtrial.console.screen import ASCII, State, screen
from fairtrial.report.history import Event, History

SIZES = [(80, 24), (120, 40), (200, 60), (80, 12), (60, 8), (40, 5), (100, 15)]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return run(tmp_path_factory.mktemp("same"), SAME)


def state_at(history: History, look: int) -> State:
    return State(
        title="digits",
        max_duration=120,
        phase="sending requests",
        phase_seconds=float(look),
        verdicts=(history.verdicts[look - 1],),
        weights={"v1": 0.9, "v2": 0.1},
        events=[
            Event(START + n, "incident" if n == 2 else "shifted", f"event {n} " + "long " * 30)
            for n in range(6)
        ],
        began=START,
    )


def shown(state: State, width: int, height: int) -> list[str]:
    return [line.plain for line in screen(state, width, height)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_view_fits_its_terminal(history: History, width: int, height: int) -> None:
    for look in (1, 5, 40, 120):
        lines = screen(state_at(history, look), width, height)
        assert len(lines) <= height
        assert all(line.cell_len <= width for line in lines)


def test_names_as_wide_as_the_terminal_still_fit(tmp_path: Path) -> None:
    history = run(tmp_path, Story(candidate="模型" * 60, looks=12))
    for width, height in SIZES:
        lines = screen(state_at(history, 5), width, height)
        assert all(line.cell_len <= width for line in lines)
        assert len(lines) <= height


def test_80_by_24_shows_arms_metrics_claims_the_forecast_and_incidents(history: History) -> None:
    text = "\n".join(shown(state_at(history, 40), 80, 24))
    verdict = history.verdicts[39]
    assert "v2 against v1" in text
    assert "look 40  0:40 of 2:00" in text
    assert f"{verdict.arms[1].requests:,}" in text
    for metric in verdict.metrics:
        for claim in metric.claims:
            assert f"z {claim.statistic:.2f} of {claim.boundary:.2f}" in text
    assert "decision " in text
    assert "event 2" in text


def test_a_metric_without_a_statistic_says_what_it_waits_for(history: History) -> None:
    lines = shown(state_at(history, 2), 80, 24)
    row = next(n for n, line in enumerate(lines) if line.startswith("p99 latency"))
    assert lines[row].split()[2] == "untested"
    assert lines[row + 1].startswith("  waiting: a p99 needs 662 requests an arm, there are ")


def test_a_small_terminal_keeps_the_leading_claim_of_each_metric(history: History) -> None:
    text = "\n".join(shown(state_at(history, 40), 80, 16))
    assert "accuracy" in text
    assert "p99 latency" in text
    assert "error rate" in text
    assert "harmed" not in text


def test_the_bar_is_as_long_as_the_statistic_has_come(history: History) -> None:
    for look in (8, 20, 30):
        claim = history.verdicts[look - 1].metrics[1].claims[1]
        assert claim.statistic is not None
        assert claim.boundary
        row = next(line for line in shown(state_at(history, look), 80, 24)[8:] if line.startswith("  safe"))
        filled = row.count("━") / (row.count("━") + row.count("─"))
        expected = 1.0 if claim.crossed else max(claim.statistic / claim.boundary, 0)
        assert filled == pytest.approx(min(expected, 1.0), abs=0.02)


def test_two_candidates_are_both_shown(history: History, tmp_path: Path) -> None:
    other = run(tmp_path, dataclasses.replace(BETTER, candidate="v3"))
    state = dataclasses.replace(
        state_at(history, 20), verdicts=(history.verdicts[19], other.verdicts[19]), events=()
    )
    text = "\n".join(shown(state, 120, 40))
    assert "v2, v3 against v1" in text
    assert text.count("p99 latency") == 2


def test_a_terminal_without_unicode_gets_ascii(history: History) -> None:
    lines = screen(dataclasses.replace(state_at(history, 20), events=()), 80, 24, ASCII)
    assert all(line.plain.isascii() for line in lines)


class Terminal:
    """A pseudo-terminal that keeps what is written to it."""

    def __init__(self) -> None:
        self._leader, follower = pty.openpty()
        self.stream = os.fdopen(follower, "w", encoding="utf-8")
        self._said: list[bytes] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        # Linux ends a read with an error once the other side is closed, macOS with nothing.
        with contextlib.suppress(OSError):
            while chunk := os.read(self._leader, 4096):
                self._said.append(chunk)

    def close(self) -> str:
        """Everything that was written."""
        self.stream.close()
        self._reader.join()
        os.close(self._leader)
        return b"".join(self._said).decode()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm-256color")
    return Terminal()


def view_on(terminal: Terminal) -> LiveView:
    return LiveView(
        terminal.stream, terminal.stream, title="digits", max_duration=120, clock=StoppedClock(START)
    )


def test_the_summary_stays_and_the_cursor_comes_back(history: History, terminal: Terminal) -> None:
    with view_on(terminal) as view:
        view.phase("sending requests")
        view.look(history.verdicts[-1], {"v1": 1.0, "v2": 0.0})
        view.final(history.verdicts[-1], Path("runs/digits-1"))
        view.phase("shutting down")
    said = terminal.close()
    assert said.count("\x1b[?25l") == said.count("\x1b[?25h") == 1
    after = said.rpartition("\x1b[?25h")[2]
    assert "INCONCLUSIVE  The evidence does not settle whether v2 should replace v1." in after
    assert "exit code  11 (inconclusive)" in after
    assert "shutting down" in after


def test_an_error_leaves_the_terminal_usable(history: History, terminal: Terminal) -> None:
    view = view_on(terminal)
    view.look(history.verdicts[3], {"v1": 1.0})
    with pytest.raises(KeyboardInterrupt), view:
        raise KeyboardInterrupt
    assert "\x1b[?25h" in terminal.close()


def test_no_color_is_respected(history: History, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with view_on(terminal) as view:
        view.look(history.verdicts[-1], {"v1": 1.0})
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|9[0-7])[;m]", terminal.close())
