"""The cache: shared by processes, killed in the middle, full, damaged, and without room on the disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fairtrial_servers.errors import ModelError, ServerError
from fairtrial_servers.store import fetch, obtain
from servers.store.conftest import Page

CONTENT = bytes(range(256)) * 20_000
SCRIPT = Path(__file__).with_name("fetching.py")


@contextmanager
def fetching(uri: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(word):
            return line.split(maxsplit=1)[1].strip()
    raise AssertionError(f"it ended before it said {word!r}")


def kept(cache: Path) -> list[Path]:
    return sorted((cache / "models").iterdir())


def test_of_two_processes_that_want_the_same_one_fetches(web):
    web.pages["/m.onnx"] = Page(CONTENT, pieces=20, pause=0.05, etag='"1"')
    with fetching(f"{web.url}/m.onnx") as one, fetching(f"{web.url}/m.onnx") as other:
        assert wait_for(one, "fetched") == wait_for(other, "fetched")
    assert sorted(line.split()[-1] for line in web.asked) == ["200", "304"]


def test_a_process_that_is_killed_in_the_middle_leaves_nothing_that_is_served(web, tmp_path, cache):
    web.pages["/m.onnx"] = Page(CONTENT, pieces=20, pause=0.2, etag='"1"')
    with fetching(f"{web.url}/m.onnx") as process:
        wait_for(process, "bytes")
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert kept(cache) == []
    assert len(list((cache / "incoming").iterdir())) == 1
    web.pages["/m.onnx"].pause = 0
    assert fetch(f"{web.url}/m.onnx", tmp_path).read_bytes() == CONTENT
    assert list((cache / "incoming").iterdir()) == []


def test_a_process_that_waits_for_one_that_is_killed_fetches_itself(web):
    web.pages["/m.onnx"] = Page(CONTENT, pieces=20, pause=0.1, etag='"1"')
    with fetching(f"{web.url}/m.onnx") as one:
        wait_for(one, "bytes")
        with fetching(f"{web.url}/m.onnx") as other:
            one.kill()
            path = wait_for(other, "fetched")
            assert Path(path).read_bytes() == CONTENT


def test_what_another_process_is_fetching_is_not_cleared_away(web, tmp_path):
    web.pages["/slow.onnx"] = Page(CONTENT, pieces=10, pause=0.2)
    web.pages["/m.onnx"] = Page(b"one")
    with fetching(f"{web.url}/slow.onnx") as process:
        wait_for(process, "bytes")
        fetch(f"{web.url}/m.onnx", tmp_path)
        assert Path(wait_for(process, "fetched")).read_bytes() == CONTENT


@pytest.mark.parametrize("harm", ["changed", "cut", "gone", "more", "linked"])
def test_a_damaged_model_is_dropped_and_fetched_again(web, tmp_path, cache, harm):
    web.pages["/m.onnx"] = Page(CONTENT, etag='"1"')
    path = fetch(f"{web.url}/m.onnx", tmp_path)
    path.chmod(0o644)
    match harm:
        case "changed":
            path.write_bytes(CONTENT[:-1] + b"!")
        case "cut":
            os.truncate(path, 10)
        case "gone":
            path.unlink()
        case "more":
            path.with_name("extra.onnx").touch()
        case _:
            path.rename(tmp_path / "elsewhere")
            path.symlink_to(tmp_path / "elsewhere")
    again = fetch(f"{web.url}/m.onnx", tmp_path)
    assert again.read_bytes() == CONTENT
    assert [each.name for each in again.parent.iterdir()] == ["m.onnx"]
    assert not again.is_symlink()
    assert web.served() == 2
    assert len(kept(cache)) == 1


@pytest.mark.parametrize("what", ["manifest.json", "lock", "address"])
def test_damaged_records_cost_a_fetch_and_no_more(web, tmp_path, cache, what):
    web.pages["/m.onnx"] = Page(CONTENT, etag='"1"')
    fetch(f"{web.url}/m.onnx", tmp_path)
    record = next((cache / "addresses").glob("*.json")) if what == "address" else kept(cache)[0] / what
    if what == "lock":
        record.unlink()
    else:
        record.write_text('{"files": [')
    assert fetch(f"{web.url}/m.onnx", tmp_path).read_bytes() == CONTENT


def test_the_same_content_at_two_addresses_is_kept_once(web, tmp_path, cache):
    web.pages["/a/m.onnx"] = web.pages["/b/m.onnx"] = Page(CONTENT)
    assert fetch(f"{web.url}/a/m.onnx", tmp_path) == fetch(f"{web.url}/b/m.onnx", tmp_path)
    assert len(kept(cache)) == 1


def test_the_longest_unused_goes_first_and_none_in_use(web, tmp_path, cache, monkeypatch):
    monkeypatch.setenv("FAIRTRIAL_CACHE_SIZE", "1000")
    for number in range(4):
        web.pages[f"/{number}.onnx"] = Page(bytes([number]) * 400, etag=f'"{number}"')
    with fetching(f"{web.url}/0.onnx") as user:  # the longest unused, but in use
        path = Path(wait_for(user, "fetched"))
        for number in (1, 2, 3):
            obtain(f"{web.url}/{number}.onnx", tmp_path)
        assert path.read_bytes() == bytes(400)
        names = {next((each / "model").iterdir()).name for each in kept(cache)}
        assert names == {"0.onnx", "3.onnx"}
    obtain(f"{web.url}/1.onnx", tmp_path)
    names = {next((each / "model").iterdir()).name for each in kept(cache)}
    assert names == {"1.onnx", "3.onnx"}  # whoever used 0 is gone


def test_models_in_use_that_fill_the_cache_are_said_so(web, tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRTRIAL_CACHE_SIZE", "1000")
    web.pages |= {"/a.onnx": Page(b"a" * 600), "/b.onnx": Page(b"b" * 600)}
    held = obtain(f"{web.url}/a.onnx", tmp_path)
    with pytest.raises(ModelError, match="no room for 600 bytes: models in use take 600 bytes of 1000 bytes"):
        obtain(f"{web.url}/b.onnx", tmp_path)
    del held
    assert obtain(f"{web.url}/b.onnx", tmp_path).path.read_bytes() == b"b" * 600


def test_a_file_of_the_cache_cannot_be_written_to_by_mistake(web, tmp_path):
    web.pages["/m.onnx"] = Page(CONTENT)
    assert fetch(f"{web.url}/m.onnx", tmp_path).stat().st_mode & 0o222 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_said_so_and_leaves_nothing(web, tmp_path, monkeypatch):
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip("mounting is not permitted here")
    try:
        monkeypatch.setenv("FAIRTRIAL_CACHE", str(disk / "cache"))
        web.pages["/m.onnx"] = Page(CONTENT)
        with pytest.raises(ModelError, match=r"the disk is full; FAIRTRIAL_CACHE names another folder"):
            obtain(f"{web.url}/m.onnx", tmp_path)
        assert list((disk / "cache" / "incoming").iterdir()) == []
        web.pages["/m.onnx"] = Page(b"small")
        assert obtain(f"{web.url}/m.onnx", tmp_path).path.read_bytes() == b"small"
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("SIZE", "big"), ("SIZE", "0"), ("STALE", "maybe")],
)
def test_settings_that_cannot_be_read_are_said_so(web, tmp_path, monkeypatch, name, value):
    monkeypatch.setenv(f"FAIRTRIAL_CACHE_{name}", value)
    with pytest.raises(ServerError, match=f"FAIRTRIAL_CACHE_{name}"):
        fetch(f"{web.url}/m.onnx", tmp_path)


def test_a_cache_that_cannot_be_made_is_said_so(web, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FAIRTRIAL_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"cannot be written to: .*FAIRTRIAL_CACHE names another folder"):
        fetch(f"{web.url}/m.onnx", tmp_path)
