"""What a model's digest is, and that a model which has changed is not taken for the one that was meant."""

from __future__ import annotations

import hashlib
import subprocess

import pytest
from fairtrial_servers.errors import ModelError
from fairtrial_servers.store import obtain
from fairtrial_servers.store.telling import lines_now_and_then


def test_the_digest_of_a_folder_is_what_sha256sum_prints_of_its_files(tmp_path):
    (tmp_path / "wine" / "data").mkdir(parents=True)
    (tmp_path / "wine" / "MLmodel").write_bytes(b"m")
    (tmp_path / "wine" / "data" / "a b.onnx").write_bytes(b"o")
    command = r"find . -type f | sed 's,^\./,,' | LC_ALL=C sort | xargs -d '\n' sha256sum"
    printed = subprocess.run(command, shell=True, cwd=tmp_path / "wine", check=True, capture_output=True)
    assert obtain("wine", tmp_path).digest() == f"sha256:{hashlib.sha256(printed.stdout).hexdigest()}"


def test_a_path_whose_model_has_changed_is_said_so(tmp_path):
    file = tmp_path / "m.onnx"
    file.write_bytes(b"one")
    digest = obtain("m.onnx", tmp_path).digest()
    assert obtain("m.onnx", tmp_path, digest=digest).path == file
    file.write_bytes(b"two")
    with pytest.raises(ModelError, match=r"m\.onnx has changed: it is sha256:.*, and was sha256:"):
        obtain("m.onnx", tmp_path, digest=digest)


def test_logs_are_told_now_and_then():
    times = iter((0.0, 0.0, 1.0, 9.0, 11.0, 11.0))  # a line takes two looks at the clock
    lines: list[str] = []
    tell = lines_now_and_then("s3://b/m", lines.append, lambda: next(times))
    for _ in range(4):
        tell(2048, 4096)
    assert lines == ["fetching s3://b/m: 2 KiB of 4 KiB"] * 2
