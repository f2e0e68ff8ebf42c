"""What CI servers are given is what they take: by their published schemas, and as their shells run it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEMPLATES = {
    "vendor.github-actions": ROOT / "action.yml",
    "vendor.azure-pipelines": ROOT / "integrations" / "azure-pipelines" / "fairtrial.yml",
}
GITLAB = ROOT / "integrations" / "gitlab" / "fairtrial.yml"
GITHUB = ROOT / "integrations" / "github"


def complaints(schema: str, *files: Path) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


@pytest.mark.parametrize("schema", TEMPLATES)
def test_a_template_is_what_its_schema_allows(schema: str, tmp_path: Path):
    assert complaints(schema, TEMPLATES[schema]) == ""
    broken = tmp_path / "broken.yml"
    broken.write_text(TEMPLATES[schema].read_text().replace("steps:", "stages_: {}\nsteps: 1 #", 1))
    assert complaints(schema, broken) != ""


def test_both_documents_of_gitlabs_component_are_what_its_schema_allows(tmp_path: Path):
    header, jobs = yaml.safe_load_all(GITLAB.read_text())
    text = GITLAB.read_text().partition("\n---\n")[2]
    for name, about in header["spec"]["inputs"].items():
        text = text.replace(f"$[[ inputs.{name} ]]", str(about["default"]))
    assert "$[[" not in text  # every input that is used is declared
    for number, part in enumerate((yaml.safe_dump(header), text)):
        (tmp_path / f"{number}.yml").write_text(part)
    assert complaints("vendor.gitlab-ci", *sorted(tmp_path.iterdir())) == ""
    (job,) = yaml.safe_load(text).values()
    assert job["allow_failure"] == {"exit_codes": 11}
    assert job["artifacts"]["reports"]["junit"] in " ".join(job["script"])
    assert len(jobs) == 1


def shells() -> dict[str, str]:
    """Every script that a template has or runs, by its name."""
    action = yaml.safe_load(TEMPLATES["vendor.github-actions"].read_text())
    (azure,) = (
        step["bash"]
        for step in yaml.safe_load(TEMPLATES["vendor.azure-pipelines"].read_text())["steps"]
        if "bash" in step
    )
    (job,) = list(yaml.safe_load_all(GITLAB.read_text()))[1].values()
    (cron,) = (
        each
        for each in yaml.safe_load_all((ROOT / "integrations/cronjob/cronjob.yaml").read_text())
        if each["kind"] == "CronJob"
    )
    container = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    return {
        **{f"action {n}": step["run"] for n, step in enumerate(action["runs"]["steps"]) if "run" in step},
        **{file.name: file.read_text() for file in GITHUB.glob("*.sh")},
        "azure": azure,
        "gitlab": "\n".join([*job["script"], *job["after_script"]]),
        "cronjob": container["command"][2],
    }


@pytest.mark.parametrize("name", shells())
def test_a_script_is_one(name: str):
    shell = "sh" if name in ("gitlab", "cronjob") else "bash"
    assert (
        subprocess.run([shell, "-n"], input=shells()[name], capture_output=True, text=True, check=True).stderr
        == ""
    )


def test_nothing_that_a_user_says_becomes_part_of_a_script():
    for script in shells().values():
        assert "${{" not in script
        assert "$[[" not in script


@pytest.fixture
def job(tmp_path: Path):
    """A job of GitHub's, with the files that its steps write. `uvx` is a stand-in that ends as it is told."""
    (tmp_path / "bin").mkdir()
    stand_in = tmp_path / "bin" / "uvx"
    stand_in.write_text(
        "#!/bin/bash\n"
        'printf "%s\\n" "$@" >"$HOME/words"\n'
        'while (($# > 1)); do [[ $1 == --summary ]] && echo "# said" >"$2"; shift; done\n'
        'echo "$DOCUMENT"; exit "$ENDS"\n'
    )
    stand_in.chmod(0o755)

    def step(script: str, **said: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "step.md"),
            "EXPERIMENT": "my experiment.yaml",
            "ARGUMENTS": "",
            "REQUIREMENT": "fairtrial[stores]",
            "PYTHON_VERSION": "3.12",
        }
        return subprocess.run(
            ["bash", GITHUB / script],
            cwd=tmp_path,
            env=environment | said,
            capture_output=True,
            text=True,
            check=False,
        )

    return step


def outputs(folder: Path) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in (folder / "output").read_text().splitlines())


@pytest.mark.parametrize(
    ("code", "verdict"), [(0, "PROMOTE"), (10, "ROLLBACK"), (11, "INCONCLUSIVE"), (3, "")]
)
def test_the_action_tells_verdict_and_exit_code_and_ends_later(
    job: Any, tmp_path: Path, code: int, verdict: str
):
    document = json.dumps(
        {"run": "wine-1", "verdict": verdict, "nested": {"verdict": "OTHER"}} if verdict else {"error": "x"},
        indent=2,
    )
    ran = job("run.sh", ENDS=str(code), DOCUMENT=document, ARGUMENTS="--workers 2")
    assert ran.returncode == 0, ran.stderr
    told = outputs(tmp_path)
    assert (told["exit-code"], told["verdict"]) == (str(code), verdict)
    assert (tmp_path / "step.md").read_text() == Path(told["summary"]).read_text() == "# said\n"
    words = (tmp_path / "words").read_text().splitlines()
    assert words[:6] == ["--python", "3.12", "--from", "fairtrial[stores]", "fairtrial", "run"]
    assert words[6] == "my experiment.yaml"
    assert words[-2:] == ["--workers", "2"]


def test_a_command_that_cannot_even_be_installed_is_told(job: Any, tmp_path: Path):
    (tmp_path / "bin" / "uvx").write_text("#!/bin/bash\nexit 2\n")
    assert job("run.sh").returncode == 0
    assert outputs(tmp_path)["exit-code"] == "2"
    assert not (tmp_path / "step.md").exists()


@pytest.mark.parametrize(
    ("code", "inconclusive", "ends"),
    [
        ("0", "fail", 0),
        ("10", "pass", 10),
        ("11", "fail", 11),
        ("11", "pass", 0),
        ("130", "pass", 130),
        ("", "fail", 1),
    ],
)
def test_the_job_ends_as_the_run_did(job: Any, code: str, inconclusive: str, ends: int):
    assert job("end.sh", CODE=code, INCONCLUSIVE=inconclusive).returncode == ends


@pytest.mark.parametrize(("known", "method"), [("", "POST"), ("41\n42\n", "PATCH")])
def test_the_comment_is_written_once_and_then_anew(job: Any, tmp_path: Path, known: str, method: str):
    gh = tmp_path / "bin" / "gh"
    gh.write_text(
        f'#!/bin/bash\necho "$@" >>"$HOME/asked"\n[[ $2 == --paginate ]] && printf "{known}"\nexit 0\n'
    )
    gh.chmod(0o755)
    (tmp_path / "s.md").write_text("<!-- fairtrial wine -->\ntext\n")
    said = {"SUMMARY": str(tmp_path / "s.md"), "PULL_REQUEST": "7", "GITHUB_REPOSITORY": "a/b"}
    assert job("comment.sh", **said).returncode == 0
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(asked) == 2
    where = "issues/7/comments" if method == "POST" else "issues/comments/41"
    assert f"--method {method} repos/a/b/{where} --field body=@" in asked[1]
    assert job("comment.sh", **said | {"SUMMARY": str(tmp_path / "none")}).returncode == 0


def test_a_token_that_may_not_write_fails_no_job(job: Any, tmp_path: Path):
    gh = tmp_path / "bin" / "gh"
    gh.write_text("#!/bin/bash\nexit 1\n")
    gh.chmod(0o755)
    (tmp_path / "s.md").write_text("text\n")
    ran = job("comment.sh", SUMMARY=str(tmp_path / "s.md"), PULL_REQUEST="7", GITHUB_REPOSITORY="a/b")
    assert ran.returncode == 0
    assert "::warning" in ran.stdout


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def test_pre_commit_runs_the_hook_on_experiment_files(tmp_path: Path):
    hooks, repository = tmp_path / "hooks", tmp_path / "repository"
    for folder in (hooks, repository):
        folder.mkdir()
        git(folder, "init", "--quiet")
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", hooks)
    git(hooks, "add", ".")
    git(hooks, "commit", "--quiet", "-m", "hooks")
    (repository / "experiment-wine.yaml").write_text("apiVersion: fairtrial.dev/v1alpha1\nkind: Experimnt\n")
    (repository / "other.yaml").write_text("kind: Nothing\n")
    git(repository, "add", ".")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PRE_COMMIT_HOME": str(tmp_path / "home"),
    }
    environment.pop("GIT_DIR", None)
    ran = subprocess.run(
        [sys.executable, "-m", "pre_commit", "try-repo", hooks, "fairtrial-validate", "--all-files"],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "experiment-wine.yaml:2" in ran.stdout, ran.stdout + ran.stderr
    assert "other.yaml" not in ran.stdout
