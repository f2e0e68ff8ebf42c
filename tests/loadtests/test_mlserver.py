"""A load of the real MLServer with our scikit-learn runtime, scored against what the model itself says."""

import json
import os
import signal
import socket
import subprocess
from contextlib import ExitStack
from dataclasses import replace

import joblib
import pyarrow as pa
import pytest
from fairtrial_loadtests.plan import Requests, Target
from fairtrial_servers.launch import model_server
from pyarrow import parquet
from sklearn.datasets import load_digits
from sklearn.tree import DecisionTreeClassifier


@pytest.fixture
def digits(tmp_path):
    """A fitted model's file, its held-out rows as a file, and its predictions for them."""
    data, target = load_digits(return_X_y=True)
    model = DecisionTreeClassifier(max_depth=6, random_state=0).fit(data[:300] / 16, target[:300])
    joblib.dump(model, tmp_path / "model.joblib")
    held_out = data[300:500] / 16
    columns = {f"pixel{i}": held_out[:, i] for i in range(64)} | {"digit": target[300:500]}
    parquet.write_table(pa.table(columns), tmp_path / "held_out.parquet")
    return tmp_path / "model.joblib", tmp_path / "held_out.parquet", model.predict(held_out)


@pytest.fixture
def mlserver(digits, tmp_path, eventually):
    with ExitStack() as taken:
        sockets = [taken.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        http, grpc, metrics = (each.getsockname()[1] for each in sockets)
    command = model_server(
        node="digits", implementation="SKLEARN_SERVER", model_uri=str(digits[0]), http_port=http,
        grpc_port=grpc, metrics_port=metrics, parameters={}, folder=str(tmp_path),
    )  # fmt: skip
    with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
        process = subprocess.Popen(
            list(command.argv), stdout=out, stderr=err, env={**os.environ, **command.env}
        )
    try:
        eventually(lambda: process.poll() is not None or (tmp_path / "out").read_text() != "", "MLServer")
        assert process.poll() is None, (tmp_path / "err").read_text()
        url = json.loads((tmp_path / "out").read_text())["url"]
        yield {"rest": url, "grpc": f"http://127.0.0.1:{grpc}"}
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def test_mlserver_takes_the_load_by_rest_and_by_grpc_and_its_answers_are_scored_as_the_model_would(
    mlserver, digits, make_plan, run_load, tmp_path
):
    _, rows, predictions = digits
    truth = parquet.ParquetFile(rows).read()["digit"].to_pylist()
    for protocol, url in mlserver.items():
        plan = replace(
            make_plan(rate=80, duration=1.0),
            targets=tuple(Target(arm, url, "digits") for arm in ("v1", "v2")),
            requests=Requests(rows, target="digit"),
            output=tmp_path / protocol,
            protocol=protocol,
        )
        observations = run_load(plan).observations.to_pylist()
        assert len(observations) > 100
        for each in observations:
            predicted = predictions[each["row"]]
            assert (each["status"], each["prediction"]) == (200, str(predicted)), protocol
            assert each["score"] == float(predicted == truth[each["row"]])
        assert 0 < sum(each["score"] for each in observations) < len(observations)
