"""What the README shows is what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from fairtrial.cli.group import VERBS
from fairtrial.errors import ExitCode
from fairtrial.experiment.reading import parse
from fairtrial.projects.writing import write_project

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _commands() -> list[list[str]]:
    """The indented lines that a reader would type, but for the demo, which is tested by itself."""
    typed = re.findall(r"^    uv run (.+?)(?:\s+#.*)?$", README, re.MULTILINE)
    return [command.split() for command in typed]


def test_its_commands_work_in_the_order_they_are_shown(tmp_path: Path):
    commands = _commands()
    assert len(commands) >= 4
    for program, *args in commands:
        start = [sys.executable, "-m", "fairtrial"] if program == "fairtrial" else [sys.executable]
        result = subprocess.run([*start, *args], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, (program, args, result.stderr)


def test_its_experiment_is_the_one_that_the_demo_runs(tmp_path: Path):
    shown = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert shown is not None
    write_project("better", tmp_path)
    written = (tmp_path / "experiment.yaml").read_text()
    body = "\n".join(line for line in written.splitlines() if not line.startswith("#"))
    assert shown[1].strip() == body.strip()
    parse(shown[1].encode(), source="README.md", folder=tmp_path, check_files=False)


@pytest.mark.parametrize("code", list(ExitCode), ids=lambda code: code.name)
def test_it_lists_every_exit_code(code: ExitCode):
    assert re.search(rf"\| {int(code)} \|", README)


def test_it_names_every_verb():
    unnamed = [verb for verb in VERBS if not re.search(rf"[`( ]{verb}\b", README)]
    assert unnamed == []


def test_it_names_no_file_that_is_not_there():
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
