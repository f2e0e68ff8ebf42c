"""Jobs that are killed, doubled, out of disk or changed: the output is whole and right, or not there."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from fairtrial_servers.scoring.errors import ScoreError
from fairtrial_servers.scoring.file_output import FileOutput
from fairtrial_servers.scoring.options import locate
from pyarrow import parquet
from servers.scoring.outputs import read

#: A process that has its imports behind it, and lets children do the job, each killed at a moment of its own
#: until one has come to the end: it prints how many were killed, and what the last one found done.
_KILLING = """
import os, random, signal, sys, time
import fairtrial_servers.sklearn, sklearn.linear_model, pyarrow.csv, sqlalchemy.dialects.sqlite
from fairtrial_servers.scoring import file_output, job, parquet_reading, sql_output
from fairtrial_servers.scoring.arguments import options_from
from fairtrial_servers.scoring.progress import Silent

model, data, out, seed = sys.argv[1:]
many = dict.fromkeys(("ids", "targets", "exclude", "text", "parameters"), ())
options = options_from(model=model, data=data, out=out, outputs="", batch_rows=50, keep_every=0.0, **many)
rng = random.Random(int(seed))
for kills in range(200):
    child = os.fork()
    if not child:
        print(kills, job.score(options, Silent()).resumed_from, flush=True)
        os._exit(0)
    end = time.monotonic() + rng.random() * (0.1 + 0.05 * kills)
    while time.monotonic() < end and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 0:
        break
    assert code == -signal.SIGKILL, code
"""

#: Says when it has begun to score, and goes on when it is told to.
_SLOW = """
import sys
from fairtrial_servers.scoring.predicting import Predictor

predict = Predictor.predict
def slow(self, batch, first):
    if not first:
        print("begins", flush=True)
        sys.stdin.readline()
    return predict(self, batch, first)
Predictor.predict = slow

from fairtrial_servers.score import main
main()
"""


def start(*args: object) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", _SLOW, *map(str, args)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen(argv, text=True, **pipes)
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n", process.communicate()
    return process


def killed_until_done(model: Path, data: object, out: object) -> tuple[int, int]:
    """How often a job was killed, and how many rows its last start found done."""
    argv = [sys.executable, "-c", _KILLING, str(model), str(data), str(out), "4"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    kills, found = done.stdout.split()
    return int(kills), int(found)


@pytest.mark.parametrize("name", ["out.parquet", "out.csv"])
def test_a_job_that_is_killed_again_and_again_writes_what_an_undisturbed_one_does(
    name, score, model, data, tmp_path
):
    (tmp_path / "calm").mkdir()
    score(model, data, tmp_path / "calm" / name, batch_rows=50)
    kills, found = killed_until_done(model, data, tmp_path / name)
    assert kills >= 5
    assert found > 0
    assert (tmp_path / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calm", name, f"{name}.scoring.json"]


def test_a_table_has_every_row_once_however_often_the_job_was_killed(model, data, table, tmp_path):
    file = tmp_path / "out.db"
    kills, found = killed_until_done(model, data, f"sql+sqlite:///{file}?table=scored")
    assert kills >= 5
    assert found > 0
    with sqlite3.connect(file) as database:
        ids = [row[0] for row in database.execute("select id from scored")]
        names = [row[0] for row in database.execute("select name from sqlite_master where type = 'table'")]
    database.close()
    assert ids == table["id"].to_pylist()
    assert sorted(names) == ["fairtrial_scoring", "scored"]


def test_a_second_job_on_the_same_output_is_refused_in_words(score, model, data, tmp_path):
    for out in (tmp_path / "out.parquet", f"sql+sqlite:///{tmp_path}/out.db?table=scored"):
        first = start(model, data, "--out", out)
        try:
            with pytest.raises(ScoreError, match="another scoring job is writing"):
                score(model, data, out)
        finally:
            _, errors = first.communicate("go\n", timeout=60)
        assert first.returncode == 0, errors


class _Stop(BaseException):
    """Stands for a kill at one place."""


@pytest.fixture
def cut_off(score, model, monkeypatch):
    """A job that ends at a chosen moment of its output's life."""

    def until(method: str, call: int, data, out, **said) -> None:
        real, calls = getattr(FileOutput, method), [0]

        def counted(self, *args, **kwargs):
            calls[0] += 1
            if calls[0] == call:
                raise _Stop
            return real(self, *args, **kwargs)

        with monkeypatch.context() as patched:
            patched.setattr(FileOutput, method, counted)
            with pytest.raises(_Stop):
                score(model, data, out, **said)

    return until


def test_a_folder_goes_on_behind_its_last_whole_file(score, model, data, cut_off, monkeypatch, tmp_path):
    monkeypatch.setattr("fairtrial_servers.scoring.writing.FILE_ROWS", 1024)
    score(model, data, f"{tmp_path}/calm/")
    cut_off("write", 6, data, f"{tmp_path}/out/")
    whole = tmp_path / ".out.scoring" / "out" / "part-00001.parquet"
    before = whole.stat().st_mtime_ns
    outcome = score(model, data, f"{tmp_path}/out/")
    assert outcome.resumed_from == 6 * 512
    assert (tmp_path / "out" / "part-00001.parquet").stat().st_mtime_ns == before
    assert read(tmp_path / "out").equals(read(tmp_path / "calm"))


def test_changed_data_model_or_options_are_refused_until_told_to_begin_anew(
    score, model, data, cut_off, table, tmp_path
):
    rows, out = tmp_path / "rows.parquet", tmp_path / "out.parquet"
    rows.write_bytes(data.read_bytes())
    cut_off("write", 4, rows, out)
    with pytest.raises(ScoreError, match=r"differs in the options \(outputs\)"):
        score(model, rows, out, outputs="predict_proba")
    os.utime(rows)
    with pytest.raises(ScoreError, match="differs in the data: --restart"):
        score(model, rows, out)
    parquet.write_table(table.slice(0, 100), rows)
    assert score(model, rows, out, restart=True).resumed_from == 0
    assert read(out).num_rows == 100


def test_a_restart_that_is_cut_off_leaves_the_old_output_and_never_takes_it_for_its_own(
    score, model, data, cut_off, table, tmp_path
):
    rows, out = tmp_path / "rows.parquet", tmp_path / "out.parquet"
    parquet.write_table(table.slice(0, 100), rows)
    score(model, rows, out)
    rows.write_bytes(data.read_bytes())
    for method in ("begin", "write", "finish"):
        cut_off(method, 1, rows, out, restart=True)
        assert read(out).num_rows == 100
    assert not score(model, rows, out).already_complete
    assert read(out).num_rows == table.num_rows


def test_an_output_of_unknown_origin_is_left_alone(score, model, data, tmp_path):
    out = tmp_path / "out.parquet"
    out.write_text("mine")
    with pytest.raises(ScoreError, match="is there already"):
        score(model, data, out)
    assert out.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_a_finished_job_has_nothing_to_do(score, model, data, tmp_path):
    score(model, data, tmp_path / "out.csv")
    before = (tmp_path / "out.csv").stat().st_mtime_ns
    assert score(model, data, tmp_path / "out.csv").already_complete
    assert (tmp_path / "out.csv").stat().st_mtime_ns == before


def test_a_damaged_remainder_is_named(score, model, data, cut_off, tmp_path):
    out = tmp_path / "out.parquet"
    cut_off("write", 4, data, out)
    part = min((tmp_path / ".out.parquet.scoring").glob("rows-*.arrow"))
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(ScoreError, match=f"{part.name} is damaged"):
        score(model, data, out)


def test_no_space_is_one_sentence_and_nothing_that_looks_whole(command, model, data, tmp_path):
    out = tmp_path / "out.parquet"

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    result = command(model, data, "--out", out, preexec_fn=small_disk)
    assert result.returncode == 2
    assert "no space left to write" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert not out.exists()
    result = command(model, data, "--out", out)
    assert result.returncode == 0, result.stderr
    assert read(out).num_rows == 5000


def test_two_places_never_share_a_lock(tmp_path):
    one, other = (FileOutput(locate(str(tmp_path / name)), 1.0) for name in ("a.csv", "b.csv"))
    one.release()
    other.release()
    assert list(tmp_path.iterdir()) == []
