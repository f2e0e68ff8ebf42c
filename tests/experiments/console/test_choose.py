"""Which view is chosen where."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from experiments.clocks import StoppedClock
from fairtrial.console.choose import choose
from fairtrial.console.interface import Console, Quiet
from fairtrial.console.live import LiveView
from fairtrial.console.plain import PlainLines


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def chosen(stream: io.StringIO, *, quiet: bool = False, **environ: str) -> Console:
    return choose(
        stream, io.StringIO(), title="t", max_duration=60, clock=StoppedClock(), environ=environ, quiet=quiet
    )


def test_a_terminal_gets_the_live_view() -> None:
    assert isinstance(chosen(Screen(), TERM="xterm-256color"), LiveView)
    assert isinstance(chosen(Screen(), TERM="xterm-256color", CI="false"), LiveView)


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {}, {"TERM": "xterm", "CI": "true"}])
def test_a_dumb_terminal_and_ci_get_plain_lines(environ: dict[str, str]) -> None:
    assert isinstance(chosen(Screen(), **environ), PlainLines)


def test_a_pipe_gets_plain_lines() -> None:
    assert isinstance(chosen(io.StringIO(), TERM="xterm"), PlainLines)


def test_json_output_is_not_disturbed() -> None:
    assert isinstance(chosen(Screen(), quiet=True, TERM="xterm"), Quiet)


def test_plain_lines_and_explanations_do_not_pay_for_rich_or_matplotlib() -> None:
    code = (
        "import sys, fairtrial.console.choose, fairtrial.console.plain, fairtrial.explanation.explain, "
        "fairtrial.report.page; print(*{'rich', 'matplotlib', 'scipy', 'pyarrow'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.strip() == ""
