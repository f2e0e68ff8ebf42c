"""A program is built once, whoever asks and however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cluster import programs
from cluster.programs import BuildError, MissingError

GO = """#!/bin/sh
echo built >> {count}
echo "example.org/a" >&2
{more}
for each; do case $each in -o=*) echo program > "${{each#-o=}}"; chmod +x "${{each#-o=}}";; esac; done
"""


@pytest.fixture
def count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A line for every build by a stand-in for Go, whose real builds take minutes."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    go(tmp_path)
    return tmp_path / "count"


def go(folder: Path, more: str = "") -> None:
    (folder / "go").write_text(GO.format(count=folder / "count", more=more), encoding="utf-8")
    (folder / "go").chmod(0o755)


def ask() -> Path:
    return programs.kubernetes("kube-apiserver", lambda line: None)


def another() -> subprocess.Popen[bytes]:
    """A process of its own that asks."""
    code = "from cluster.programs import kubernetes; kubernetes('kube-apiserver', print)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_of_several_who_ask_at_once_one_builds(count: Path):
    go(count.parent, more="sleep 0.5")
    asking = [another() for _ in range(3)]
    assert [process.wait(60) for process in asking] == [0, 0, 0]
    assert count.read_text() == "built\n"
    assert ask().read_text() == "program\n"
    assert files(ask().parent) == ["kube-apiserver", "lock"]


def test_a_build_that_fails_is_told_and_tried_again(count: Path):
    go(count.parent, more="echo 'a.go:1: no such thing' >&2; exit 1")
    with pytest.raises(BuildError, match=r"building kube-apiserver v\S+ failed: .*a\.go:1: no such thing"):
        ask()
    go(count.parent)
    assert files(ask().parent) == ["kube-apiserver", "lock"]


def test_a_build_that_was_killed_leaves_no_half_program(count: Path):
    go(count.parent, more='for a; do case $a in -o=*) printf half > "${a#-o=}";; esac; done; sleep 60')
    process = another()
    deadline = time.monotonic() + 30
    while not list((count.parent / "cache").rglob("tmp*/kube-apiserver")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    go(count.parent)
    assert ask().read_text() == "program\n"
    assert files(ask().parent) == ["kube-apiserver", "lock"]


def test_another_version_is_another_program(count: Path, tmp_path: Path):
    module = tmp_path / "binaries"
    module.mkdir()
    found = set[Path]()
    for version in ("v1.34.4", "v1.34.5"):
        (module / "go.mod").write_text(f"require (\n\tk8s.io/kubernetes {version} // indirect\n)\n")
        (module / "go.sum").write_text("")
        found.add(programs.kubernetes("kube-apiserver", lambda line: None, module))
    assert len(found) == 2


def test_programs_are_taken_from_where_envtest_has_them(
    count: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("etcd", "kube-apiserver"):
        (tmp_path / name).touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    assert programs.etcd() == tmp_path / "etcd"
    assert ask() == tmp_path / "kube-apiserver"
    assert not count.exists()


def test_what_is_missing_is_named(count: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingError, match=r"no etcd.*etcd-server"):
        programs.etcd()
    with pytest.raises(MissingError, match=r"no Go to build kube-apiserver"):
        ask()
