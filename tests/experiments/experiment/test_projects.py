"""The example projects are complete, train for real, and hold the effect that their name promises."""

from __future__ import annotations

import json
import runpy
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from fairtrial.cli.group import cli
from fairtrial.errors import UsageError
from fairtrial.experiment.reading import load
from fairtrial.experiment.schema_file import schema_file_text
from fairtrial.projects.training import train
from fairtrial.projects.writing import PROJECTS, write_project

FILES = {"README.md", "arms.py", "data.py", "experiment.schema.json", "experiment.yaml", "train.py"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every example, written and trained; in this process, since importing scikit-learn takes the time."""
    folders = {name: tmp_path_factory.mktemp(name) for name in PROJECTS}
    for name, folder in folders.items():
        write_project(name, folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(folder)
            for module in ("arms", "data"):
                patch.delitem(sys.modules, module, raising=False)
            runpy.run_path(str(folder / "train.py"), run_name="__main__")
    for module in ("arms", "data"):
        sys.modules.pop(module)
    return folders


def held_out(folder: Path) -> np.ndarray:
    """[row, feature]"""
    return np.column_stack(pq.read_table(folder / "holdout.parquet").drop_columns(["target"]).columns)


def answers(folder: Path, version: str) -> np.ndarray:
    """What a version predicts for the held-out rows."""
    return joblib.load(folder / "models" / version / "model.joblib").predict(held_out(folder))


def processor_time(folder: Path, version: str, rows: np.ndarray) -> float:
    """Seconds of processor time to predict the rows one by one."""
    model = joblib.load(folder / "models" / version / "model.joblib")
    model.predict(rows[:1])
    started = time.process_time()
    for row in rows:
        model.predict(row[np.newaxis])
    return time.process_time() - started


def accuracy(folder: Path, version: str) -> float:
    right = pq.read_table(folder / "holdout.parquet")["target"].to_numpy()
    return float((answers(folder, version) == right).mean())


@pytest.mark.parametrize("name", PROJECTS)
def test_a_trained_project_has_no_mistakes_and_is_described(trained: dict[str, Path], name: str) -> None:
    experiment = load(trained[name] / "experiment.yaml")
    assert experiment.metadata.name == f"digits-{name}"
    readme = (trained[name] / "README.md").read_text()
    promised = PROJECTS[name].split(": ")[1].split()[0].rstrip(",")
    assert promised in readme


def test_there_are_rows_enough_to_decide_with(trained: dict[str, Path]) -> None:
    rows = pq.read_table(trained["better"] / "holdout.parquet")
    assert rows.shape == (1197, 65)
    assert rows.column_names == [*(f"f{i}" for i in range(64)), "target"]


def test_the_better_candidate_is_better_by_more_than_its_min_effect(trained: dict[str, Path]) -> None:
    folder = trained["better"]
    assert accuracy(folder, "v2") - accuracy(folder, "v1") > 0.1


def test_the_worse_candidate_is_worse(trained: dict[str, Path]) -> None:
    folder = trained["worse"]
    assert accuracy(folder, "v1") - accuracy(folder, "v2") > 0.05


def test_the_slower_candidate_is_as_good(trained: dict[str, Path]) -> None:
    folder = trained["slower"]
    assert abs(accuracy(folder, "v2") - accuracy(folder, "v1")) < 0.01


def test_the_slower_candidate_is_slow_on_a_few_rows_and_only_there(trained: dict[str, Path]) -> None:
    rows = held_out(trained["slower"])
    gaps = (rows < 0).any(axis=1)
    assert 0.02 < gaps.mean() < 0.05  # beyond the p99, within the p95
    fast, slow = (processor_time(trained["slower"], "v2", rows[which][:30]) for which in (~gaps, gaps))
    baseline = processor_time(trained["slower"], "v1", rows[gaps][:30])
    assert slow > 3 * fast
    assert slow > 3 * baseline


def test_the_same_model_twice_answers_alike_on_every_row(trained: dict[str, Path]) -> None:
    assert (answers(trained["same"], "v1") == answers(trained["same"], "v2")).all()


def test_init_writes_a_whole_project_and_says_what_next(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "trial"
    result = CliRunner().invoke(cli, ["init", str(folder), "--example", "slower"])
    assert result.exit_code == 0
    assert {file.name for file in folder.iterdir()} == FILES
    assert "digits-slower" in (folder / "experiment.yaml").read_text()
    assert result.stdout.splitlines()[-1].startswith(f"next: cd {folder} && python train.py")


def test_init_leaves_the_schema_that_the_first_line_names(project: Path) -> None:
    first = (project / "experiment.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=./experiment.schema.json"
    assert (project / "experiment.schema.json").read_text() == schema_file_text()


def test_init_overwrites_nothing_and_names_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("mine")
    result = CliRunner().invoke(cli, ["init", str(tmp_path)])
    assert result.exit_code == 2
    assert f"{tmp_path / 'train.py'} is there already" in result.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["train.py"]
    assert (tmp_path / "train.py").read_text() == "mine"


def test_init_into_a_file_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = CliRunner().invoke(cli, ["init", str(tmp_path / "file")])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: cannot write to ")


def test_init_as_json_lists_the_files(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["init", str(tmp_path), "--output", "json"])
    document = json.loads(result.stdout)
    assert {Path(file).name for file in document["files"]} == FILES


def test_training_runs_the_projects_own_script_and_tells_its_lines(project: Path) -> None:
    (project / "train.py").write_text(
        "from pathlib import Path\nimport arms_of_mine as a\nprint(a.N, Path().resolve())\n"
    )
    (project / "arms_of_mine.py").write_text("N = 7\n")
    lines: list[str] = []
    train(project, lines.append)
    assert lines == [f"7 {project.resolve()}"]


def test_a_training_script_that_fails_is_quoted(project: Path) -> None:
    (project / "train.py").write_text("print('reading')\nraise RuntimeError('no memory')\n")
    lines: list[str] = []
    with pytest.raises(UsageError, match=r"ended with code 1: RuntimeError: no memory; run `python"):
        train(project, lines.append)
    assert lines[0] == "reading"


def test_training_without_a_script_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`fairtrial init"):
        train(tmp_path, print)
