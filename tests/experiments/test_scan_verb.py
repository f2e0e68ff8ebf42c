"""`fairtrial scan` says what it found in lines and in JSON, and ends with the code of the verdict."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from click.testing import CliRunner
from fairtrial.cli.group import cli
from fairtrial.errors import ExitCode


def run(*arguments: object):
    return CliRunner().invoke(cli, ["scan", *map(str, arguments)])


@pytest.fixture
def hostile(tmp_path) -> Path:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    return path


def test_a_safe_model_is_said_to_be_safe(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"weights": [1.0, 2.0]}))
    result = run(path)
    assert result.exit_code == ExitCode.OK
    assert result.output == f"{path}: safe to load (1 file examined)\n"


def test_an_unsafe_model_is_told_line_by_line(hostile):
    result = run(hostile)
    assert result.exit_code == ExitCode.UNSAFE
    assert result.output.splitlines() == [
        "model.pkl: refers to os.system, which runs commands: no model needs it",
        f"{hostile}: NOT safe to load (1 finding, 1 file examined)",
    ]


def test_the_document_holds_what_the_lines_say(hostile):
    result = run(hostile, "--output", "json")
    assert result.exit_code == ExitCode.UNSAFE
    document = json.loads(result.stdout)
    assert (document["safe"], document["verdict"]) == (False, "unsafe")
    assert document["findings"][0]["name"] == "os.system"
    assert document["findings"][0]["path"] == ["model.pkl"]


def test_what_is_allowed_is_recorded(hostile):
    result = run(hostile, "--allow", "os.system", "--output", "json")
    assert result.exit_code == ExitCode.OK
    document = json.loads(result.stdout)
    assert document["allow"] == ["os.system"]
    assert [entry["name"] for entry in document["allowed"]] == ["os.system"]


@pytest.mark.parametrize("name", ["", "os system", "os.", "../os"])
def test_what_is_allowed_needs_a_name(hostile, name):
    result = run(hostile, "--allow", name)
    assert result.exit_code == ExitCode.USAGE
    assert "--allow takes a module" in result.stderr


def test_missing_and_damaged_models_have_a_code_of_their_own(tmp_path):
    missing = run(tmp_path / "nothing.pkl")
    assert missing.exit_code == ExitCode.NOT_READY
    assert "there is no model at" in missing.stderr
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(list(range(1000)))[:-10])
    damaged = run(path)
    assert damaged.exit_code == ExitCode.NOT_READY
    assert "damaged, not to be loaded" in damaged.output
