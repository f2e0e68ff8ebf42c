import subprocess
import sys
from pathlib import Path

import pytest
from experiments.clocks import StoppedClock
from fairtrial.errors import UsageError
from fairtrial.journal.folder import RunFolder, find_run, new_run


def _run(runs: Path, clock: StoppedClock) -> RunFolder:
    folder = new_run(runs, "wine", clock)
    folder.journal.touch()
    clock.sleep(1)
    return folder


def test_the_newest_run_is_meant_when_none_is_named(tmp_path: Path):
    clock = StoppedClock()
    _run(tmp_path / "runs", clock)
    newest = _run(tmp_path / "demo" / "runs", clock)
    assert find_run(None, tmp_path).path == newest.path


def test_a_run_is_found_by_its_id_and_by_its_folder(tmp_path: Path):
    clock = StoppedClock()
    first, _ = _run(tmp_path / "runs", clock), _run(tmp_path / "runs", clock)
    assert find_run(first.id, tmp_path).path == first.path
    assert find_run(str(first.path), Path("/")).path == first.path


def test_an_unknown_run_is_answered_with_those_that_are_there(tmp_path: Path):
    known = _run(tmp_path / "runs", StoppedClock())
    with pytest.raises(UsageError, match=known.id):
        find_run("wine-1", tmp_path)


def test_no_run_at_all_says_how_to_start_one(tmp_path: Path):
    with pytest.raises(UsageError, match="fairtrial run"):
        find_run(None, tmp_path)


def test_two_processes_cannot_work_on_one_run(tmp_path: Path):
    folder = _run(tmp_path, StoppedClock())
    script = (
        "import sys; from pathlib import Path; from fairtrial.journal.folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).locked(): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=f"worked on by process {holder.pid}"), folder.locked():
            pass
        assert folder.is_running()
    finally:
        holder.stdin.close()
        holder.wait(10)
        holder.stdout.close()
    assert not folder.is_running()
