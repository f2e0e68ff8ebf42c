"""Finding a Java VM, and the JARs on its class path: fetched, verified, copied, refused. No VM is started,
and nothing is fetched from further than this machine."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fairtrial_servers.errors import ModelError, ServerError
from fairtrial_servers.jvm import jars, java, machine
from fairtrial_servers.jvm.jars import Jar, copy, listed, provide


def home_with(folder: Path, version: str, place: str = "lib/server") -> Path:
    (folder / place).mkdir(parents=True)
    (folder / place / java._LIBRARY).touch()
    (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return folder


@pytest.mark.parametrize(
    ("version", "number"), [("17", 17), ("17.0.15", 17), ("21.0.2", 21), ("25-ea", 25), ("22+36", 22)]
)
def test_java_home_is_the_java_that_is_used(tmp_path, monkeypatch, version, number):
    monkeypatch.setenv("JAVA_HOME", str(home_with(tmp_path, version)))
    found = java.find_java()
    assert found.library == tmp_path / "lib" / "server" / java._LIBRARY
    assert found.version == number


@pytest.mark.parametrize(
    ("version", "place"),
    [("11.0.2", "lib/server"), ("1.8.0_292", "jre/lib/amd64/server"), ("?", "lib/server")],
)
def test_a_java_that_is_too_old_is_refused(tmp_path, monkeypatch, version, place):
    monkeypatch.setenv("JAVA_HOME", str(home_with(tmp_path, version, place)))
    with pytest.raises(ServerError, match="needs 17 or later"):
        java.find_java()


def test_a_java_home_without_java_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ServerError, match=r"JAVA_HOME is .* no Java VM .*: install one"):
        java.find_java()


@pytest.mark.parametrize("heap", ["much", "0m", "1.5g", "512", "1m -Dx", "99999999g"])
def test_the_heap_is_a_number_with_its_unit(heap):
    with pytest.raises(ModelError, match="heap"):
        machine.start([], {"heap": heap})


def test_the_list_pins_every_jar_and_names_none_twice():
    found = listed("mleap")
    assert len({jar.file for jar in found}) == len(found) == 41
    assert all(len(jar.sha256) == 64 for jar in found)
    assert "ml.combust.mleap:mleap-runtime_2.12:0.20.0" in map(str, found)


@pytest.mark.parametrize("name", ["nothing", "../jvm/mleap", ""])
def test_a_library_that_is_not_known_is_refused(name):
    with pytest.raises(ServerError, match="no list of JARs"):
        listed(name)


CONTENT = {"a-1.jar": b"the first", "b-2.jar": b"the second"}
TWO = tuple(
    Jar("org.example", name[0], name[2], hashlib.sha256(content).hexdigest())
    for name, content in CONTENT.items()
)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """The folder of two JARs that are there."""
    folder = tmp_path / "jars"
    folder.mkdir()
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    monkeypatch.setattr(jars, "listed", lambda library: TWO)
    monkeypatch.setenv("FAIRTRIAL_JARS", str(folder))
    return folder


def test_jars_that_are_there_are_used_from_a_folder_that_is_read_only(home):
    home.chmod(0o500)
    assert provide("mleap") == [home / name for name in CONTENT]
    home.chmod(0o700)


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_offline_what_is_lacking_is_said_with_what_to_do(home, monkeypatch, damage):
    (home / "b-2.jar").unlink() if damage == "gone" else (home / "b-2.jar").write_bytes(b"changed")
    monkeypatch.setenv("FAIRTRIAL_OFFLINE", "1")
    with pytest.raises(ServerError, match=r"1 JARs .* \(b-2.jar.*copy mleap FOLDER"):
        provide("mleap")


def test_a_copy_for_an_image_holds_them_all(home, tmp_path, monkeypatch):
    copied = copy("mleap", tmp_path / "image" / "jars")
    assert {file.name: file.read_bytes() for file in copied} == CONTENT
    assert sorted(os.listdir(tmp_path / "image" / "jars")) == sorted(CONTENT)
    monkeypatch.setenv("FAIRTRIAL_JARS", str(tmp_path / "image" / "jars"))
    monkeypatch.setenv("FAIRTRIAL_OFFLINE", "1")
    assert provide("mleap") == copied


def test_a_folder_that_cannot_be_made_is_said_so(home, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FAIRTRIAL_JARS", str(tmp_path / "file" / "jars"))
    with pytest.raises(ServerError, match="cannot"):
        provide("mleap")


def test_the_cache_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.delenv("FAIRTRIAL_JARS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert jars.folder() == tmp_path / "fairtrial" / "jars"


@contextlib.contextmanager
def repository(folder: Path, content: dict[str, bytes]):
    """A Maven repository on this machine."""
    for name, raw in content.items():
        place = folder / "org" / "example" / name[0] / name[2]
        place.mkdir(parents=True)
        (place / name).write_bytes(raw)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **more):
            super().__init__(*args, directory=str(folder), **more)

        def log_message(self, *_):
            asked.append(self.path)

    asked: list[str] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def fetching():
    pytest.importorskip("jgo", reason="JARs are fetched with an extra: uv sync --group mleap")


@pytest.mark.heavy
@pytest.mark.usefixtures("fetching")
def test_what_is_lacking_is_fetched_once_and_what_was_damaged_again(home, tmp_path, monkeypatch, capsys):
    (home / "a-1.jar").write_bytes(b"damaged")
    (home / "b-2.jar").unlink()
    with repository(tmp_path / "maven", CONTENT) as (url, asked):
        monkeypatch.setenv("FAIRTRIAL_MAVEN_REPOSITORY", url)
        assert {file.name: file.read_bytes() for file in provide("mleap")} == CONTENT
        assert "once: 2 files" in capsys.readouterr().err
        before = len(asked)
        provide("mleap")
        assert len(asked) == before
    assert sorted(os.listdir(home)) == [".lock", *sorted(CONTENT)]


@pytest.mark.heavy
@pytest.mark.usefixtures("fetching")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({**CONTENT, "b-2.jar": b"another"}, "is not what it was"),
        ({"a-1.jar": CONTENT["a-1.jar"]}, "cannot fetch org.example:b:2 from"),
    ],
    ids=["another content", "not there"],
)
def test_a_jar_that_is_not_the_pinned_one_is_never_kept(home, tmp_path, monkeypatch, content, words):
    for name in CONTENT:
        (home / name).unlink()
    with repository(tmp_path / "maven", content) as (url, _):
        monkeypatch.setenv("FAIRTRIAL_MAVEN_REPOSITORY", url)
        with pytest.raises(ServerError, match=words):
            provide("mleap")
    assert sorted(os.listdir(home)) == [".lock", "a-1.jar"]


@pytest.mark.heavy
@pytest.mark.usefixtures("fetching")
def test_no_repository_is_said_so(home, monkeypatch):
    (home / "b-2.jar").unlink()
    monkeypatch.setenv("FAIRTRIAL_MAVEN_REPOSITORY", "http://127.0.0.1:1")
    with pytest.raises(ServerError, match="check the network"):
        provide("mleap")


@pytest.mark.heavy
@pytest.mark.usefixtures("fetching")
def test_two_processes_fetch_once(home, tmp_path, monkeypatch):
    for name in CONTENT:
        (home / name).unlink()
    pinned = [(jar.group, jar.artifact, jar.version, jar.sha256) for jar in TWO]
    script = (
        "from fairtrial_servers.jvm import jars\n"
        f"pinned = [jars.Jar(*each) for each in {pinned!r}]\n"
        "jars.listed = lambda library: pinned\n"
        "print(len(jars.provide('mleap')))"
    )
    with repository(tmp_path / "maven", CONTENT) as (url, asked):
        monkeypatch.setenv("FAIRTRIAL_MAVEN_REPOSITORY", url)
        begun = [
            subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in "ab"
        ]
        assert [process.communicate(timeout=60)[0].strip() for process in begun] == ["2", "2"]
        assert sorted(path for path in asked if path.endswith(".jar")) == [
            "/org/example/a/1/a-1.jar",
            "/org/example/b/2/b-2.jar",
        ]


def test_the_command_says_what_it_does_and_what_it_cannot(capsys):
    from fairtrial_servers.jvm.__main__ import main

    assert main(["list", "mleap"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 41
    assert main(["list", "nothing"]) == 2
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
