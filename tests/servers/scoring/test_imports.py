"""A job imports what its formats need: the start is most of the cost of a small one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_JOB = """
import json, sys
from fairtrial_servers.score import main

try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@pytest.mark.parametrize("name", ["out.parquet", "out.csv"])
def test_scoring_with_an_estimator_imports_no_server_and_no_other_format(name, model, data, tmp_path):
    argv = [sys.executable, "-c", _JOB, str(model), str(data), "--out", str(tmp_path / name)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    imported = set(json.loads(done.stdout.splitlines()[-1]))
    assert {"pyarrow", "sklearn"} <= imported
    unneeded = {"mlserver", "fastapi", "grpc", "uvicorn", "httpx", "h5py", "onnx", "onnxruntime", "mlflow"}
    assert imported & (unneeded | {"skops", "picklescan", "sqlalchemy", "pydantic"}) == set()
