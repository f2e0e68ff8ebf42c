"""The images: no container engine runs in these tests, so that what a Dockerfile does is tried by itself.

Its files are copied as the context has them, its installation is run into a folder, and its entry point from
there. Where there is a Docker, the images are built.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from fairtrial_servers.formats import FORMATS

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted(ROOT.glob("images/*/Dockerfile"))
NAMES = [path.parent.name for path in DOCKERFILES]

Instruction = tuple[str, str]


def instructions(path: Path) -> list[Instruction]:
    lines = re.sub(r"\\\n", " ", path.read_text()).splitlines()
    return [(word, rest.strip()) for line in lines if line.strip() and line[0] != "#"
            for word, _, rest in [line.partition(" ")]]  # fmt: skip


def of(path: Path, word: str) -> list[str]:
    return [rest for each, rest in instructions(path) if each == word]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What .dockerignore lets through."""
    folder = tmp_path_factory.mktemp("context")
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            source, target = ROOT / line[1:], folder / line[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            else:
                shutil.copy(source, target)
    return folder


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=NAMES)
def test_an_image_is_pinned_small_and_not_roots(dockerfile: Path):
    known = {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "RUN", "USER", "WORKDIR"}
    assert {word for word, _ in instructions(dockerfile)} <= known
    bases = of(dockerfile, "FROM")
    assert len(bases) == 2
    assert {base.split()[0] for base in bases} == {"python:3.12-slim-bookworm"}
    assert of(dockerfile, "USER") == ["8888:8888"]
    [entrypoint] = of(dockerfile, "ENTRYPOINT")
    assert json.loads(entrypoint)
    # Of the build only what was installed comes along, and nothing is installed after it is another's.
    last = max(i for i, each in enumerate(instructions(dockerfile)) if each[0] == "FROM")
    final = instructions(dockerfile)[last:]
    assert all(rest.startswith("--from=build ") for word, rest in final if word == "COPY")
    user = [word for word, _ in final].index("USER")
    assert "RUN" not in [word for word, _ in final[user:]]


def test_all_are_installed_by_one_version_of_uv():
    pinned = {found for path in DOCKERFILES for found in re.findall(r"uv==(\S+)", path.read_text())}
    assert len(pinned) == 1


def test_the_command_lines_image_has_every_extra_but_some_registries_clients():
    project = tomllib.loads((ROOT / "experiments/pyproject.toml").read_text())["project"]
    [install] = [each for each in of(ROOT / "images/fairtrial/Dockerfile", "RUN") if "uv sync" in each]
    left_out = {"kubernetes", "neptune", "vertex"}  # the first comes with `operator`
    assert set(re.findall(r"--extra (\S+)", install)) == project["optional-dependencies"].keys() - left_out


def test_every_format_that_seldon_is_told_of_can_be_built():
    [line] = [line for line in (ROOT / "images/servers/Dockerfile").read_text().splitlines()
              if line.startswith("# FORMAT: ")]  # fmt: skip
    told = set(re.findall(r"\w+", line.removeprefix("# FORMAT: "))) - {"or"}
    assert told == {each.name for each in FORMATS}


ENTRIES = [
    ("fairtrial", {}, ["--version"], 0, "fairtrial 0."),
    ("servers", {"FORMAT": "mlflow"}, [], 3, "there is no model at /mnt/models"),
    ("loadtests", {}, ["--help"], None, ""),
]


@pytest.mark.heavy
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("image", "arguments", "given", "code", "said"),
    ENTRIES,
    ids=["-".join([e[0], *e[1].values()]) for e in ENTRIES],
)
def test_what_an_image_installs_runs(
    context: Path,
    tmp_path: Path,
    image: str,
    arguments: dict[str, str],
    given: list[str],
    code: int | None,
    said: str,
):
    dockerfile = ROOT / "images" / image / "Dockerfile"
    [install] = [each for each in of(dockerfile, "RUN") if "uv sync" in each]
    place = tmp_path / "installed"
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("VIRTUAL", "PYTHON"))
    }
    environment |= {**arguments, "UV_PROJECT_ENVIRONMENT": str(place), "UV_LINK_MODE": "hardlink"}
    done = subprocess.run(
        ["sh", "-ec", install],
        cwd=context,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [entrypoint] = of(dockerfile, "ENTRYPOINT")
    program, *rest = json.loads(entrypoint)
    if rest and not _is_there(place, rest[-1]):
        pytest.skip(f"{rest[-1]} is not there yet")
    run = subprocess.run(
        [str(place / "bin" / program), *rest, *given],
        cwd=tmp_path,
        env={"PATH": f"{place}/bin:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert code is None or run.returncode == code, run.stderr
    assert "Traceback" not in run.stderr
    assert said in run.stdout + run.stderr
    # As a copy: nothing of it is in the source.
    packages = place / "lib"
    assert not [path for path in packages.rglob("*.pth") if str(context) in path.read_text()]


def _is_there(place: Path, module: str) -> bool:
    return bool(list(place.glob(f"lib/*/site-packages/{module.replace('.', '/')}.py")))


@pytest.mark.heavy
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=NAMES)
def test_an_image_is_built(dockerfile: Path):
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        pytest.skip("no container engine here: the image is not built; its installation is run by itself")
    argv = [docker, "build", "--quiet", "--file", str(dockerfile), str(ROOT)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=1700, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
