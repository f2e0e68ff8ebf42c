"""The command line answers at once, in sentences and exit codes, and imports a verb only to run it."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from fairtrial.cli.group import VERBS, LazyGroup, cli
from fairtrial.cli.output import as_json, output_option, print_json
from fairtrial.errors import ExitCode, NotReadyError

START = "import sys; from fairtrial.cli import main; sys.argv = ['fairtrial', *sys.argv[1:]]; main()"


def loaded_by(argument: str, folder: Path) -> set[str]:
    """The modules that the command has imported when it ends."""
    listing = START.replace("main()", "atexit.register(lambda: print(*sys.modules)); main()")
    command = [sys.executable, "-c", f"import atexit; {listing}", argument]
    printed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    return set(printed.splitlines()[-1].split())


def test_help_imports_no_verb_and_nothing_heavy(tmp_path: Path) -> None:
    loaded = loaded_by("--help", tmp_path)
    assert "fairtrial.cli.group" in loaded
    assert not loaded & {*(f"fairtrial.cli.{verb}" for verb in VERBS), "pydantic", "numpy", "ruamel.yaml"}


def test_validate_imports_no_more_than_reads_a_file(project: Path) -> None:
    loaded = loaded_by("validate", project)
    assert "fairtrial.experiment.model" in loaded
    ours = {name for name in loaded if name.startswith("fairtrial") and name.count(".") == 1}
    assert ours <= {
        *("fairtrial.cli", "fairtrial.errors", "fairtrial.experiment", "fairtrial.times"),
        *("fairtrial_graphs.backends", "fairtrial_servers.addresses"),
    }
    # What it takes is measured by benchmarks/command_line.py; this is what would cost most.
    assert not loaded & {"numpy", "pyarrow", "scipy", "httpx", "kubernetes", "locust", "mlserver", "ssl"}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verbs_line_in_the_listing_is_its_own_help(verb: str) -> None:
    command = importlib.import_module(f"fairtrial.cli.{verb.replace('-', '_')}").command
    assert command.name == verb
    assert command.get_short_help_str(limit=200)
    result = CliRunner().invoke(cli, [verb, "--help"])
    assert result.exit_code == 0
    assert "--output [text|json]" in result.output


def test_help_lists_the_verbs_in_the_order_of_use() -> None:
    help_text = CliRunner().invoke(cli, ["--help"]).output
    listed = [line.split()[0] for line in help_text.splitlines() if line[2:].split(" ")[0] in VERBS]
    assert listed == list(VERBS)


def test_a_misspelt_verb_is_bad_usage_with_a_suggestion() -> None:
    result = CliRunner().invoke(cli, ["vlidate"])
    assert result.exit_code == ExitCode.USAGE
    assert 'did you mean "validate"?' in result.stderr


def test_the_version_is_the_distributions() -> None:
    result = CliRunner().invoke(cli, ["--version"], prog_name="fairtrial")
    assert result.output.startswith("fairtrial 0.")


def test_validate_says_that_a_file_is_right(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    result = CliRunner().invoke(cli, ["validate"])
    assert (result.exit_code, result.stdout) == (0, "experiment.yaml: no mistakes\n")


def test_validate_as_json_is_one_document_and_speaks_on_stderr(project: Path) -> None:
    good, bad = project / "experiment.yaml", project / "bad.yaml"
    bad.write_text(good.read_text().replace("quantile", "quantlie"))
    result = CliRunner().invoke(cli, ["validate", str(good), str(bad), "--output", "json"])
    assert result.exit_code == ExitCode.USAGE
    document = json.loads(result.stdout)
    assert [entry["valid"] for entry in document["files"]] == [True, False]
    problem = document["files"][1]["problems"][0]
    assert problem["file"] == str(bad)
    assert problem["path"] == "spec.metrics.1.quantlie"
    assert "quantlie" in bad.read_text().splitlines()[problem["line"] - 1]
    place = f"{bad}:{problem['line']}:{problem['column']}"
    assert f"{place} spec.metrics.1.quantlie: unknown field" in result.stderr


def test_a_file_that_is_not_there_is_bad_usage_in_both_outputs(tmp_path: Path) -> None:
    missing = str(tmp_path / "nope.yaml")
    result = CliRunner().invoke(cli, ["validate", missing, "--output", "json"])
    assert result.exit_code == ExitCode.USAGE
    assert json.loads(result.stdout)["exitCode"] == ExitCode.USAGE
    assert result.stderr.startswith(f"error: there is no file {missing}")


def test_schema_prints_the_schema() -> None:
    result = CliRunner().invoke(cli, ["schema"])
    assert json.loads(result.stdout)["title"] == "Experiment"


class Verbs(LazyGroup):
    """The real group with verbs that end in every way a verb can."""


@click.group(cls=Verbs)
@click.option("--debug", is_flag=True)
@click.pass_context
def group(ctx: click.Context, debug: bool) -> None:
    ctx.meta["fairtrial.debug"] = debug


@group.command("ends")
@click.argument("how")
@output_option
def ends(how: str) -> ExitCode | None:
    match how:
        case "rolled-back":
            return ExitCode.ROLLED_BACK
        case "not-ready":
            raise NotReadyError("v2 did not become ready; its log is v2.log")
        case "bug":
            raise KeyError("mu")
        case "interrupt":
            raise KeyboardInterrupt
        case _:
            if as_json():
                print_json({"well": True})
            return None


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("well", ExitCode.OK, ""),
        ("rolled-back", ExitCode.ROLLED_BACK, ""),
        ("not-ready", ExitCode.NOT_READY, "error: v2 did not become ready; its log is v2.log\n"),
        ("interrupt", ExitCode.INTERRUPTED, "interrupted\n"),
    ],
)
def test_how_a_verb_ends_is_its_exit_code(how: str, code: int, said: str) -> None:
    result = CliRunner().invoke(group, ["ends", how])
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", said)


def test_a_bug_is_one_sentence_and_its_traceback_is_in_a_file() -> None:
    result = CliRunner().invoke(group, ["ends", "bug"])
    assert result.exit_code == ExitCode.INTERNAL
    assert result.stderr.startswith("error: a bug in Fairtrial (KeyError: 'mu'); the traceback is in ")
    assert "Traceback" not in result.stderr
    written = Path(result.stderr.split("the traceback is in ")[1].split(", please")[0])
    assert "KeyError: 'mu'" in written.read_text()
    written.unlink()


def test_debug_shows_the_traceback_of_a_bug(capfd: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(group, ["--debug", "ends", "bug"])
    assert result.exit_code == ExitCode.INTERNAL
    assert "Traceback (most recent call last)" in result.stderr + capfd.readouterr().err


def test_an_error_under_json_is_a_document_too() -> None:
    result = CliRunner().invoke(group, ["ends", "not-ready", "--output", "json"])
    assert json.loads(result.stdout) == {
        "error": "v2 did not become ready; its log is v2.log",
        "exitCode": ExitCode.NOT_READY,
    }
