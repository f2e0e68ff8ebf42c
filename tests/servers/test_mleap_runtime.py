"""Spark pipelines, trained and exported in Spark, on a real server and in process: as Spark predicts."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from fairtrial_servers.errors import ModelError, UnsafeModelError
from mlserver.errors import InferenceError
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub
from mlserver.settings import ModelSettings
from mlserver.types import InferenceRequest
from servers.v2_cases import columns_gone_wrong, tensor

pytest.importorskip("jpype", reason="MLeap needs an extra: uv sync --group mleap")
pytest.importorskip("pyspark", reason="the pipelines are made by Spark: uv sync --group mleap")
# Spark takes a minute to start, to train and to export, once for this module.
pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600)]

PATH = "/v2/models/digits/infer"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory) -> Path:
    """colours.zip, forest.zip and lenient.zip, and beside each, as .json, what Spark predicts."""
    folder = tmp_path_factory.mktemp("bundles")
    made = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("spark_pipelines.py")), str(folder)],
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr[-3000:]
    return folder


def said_by_spark(bundles, name):
    return json.loads((bundles / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def server(bundles, begin):
    return begin(bundles / "colours.zip", "FAIRTRIAL_MLEAP_SERVER")


@pytest.fixture(scope="module")
def client(server):
    with httpx.Client(base_url=server.url, timeout=60) as opened:
        yield opened


@pytest.fixture
def load():
    """In this process, whose one Java VM is MLeap's."""

    def opened(path: Path):
        from fairtrial_servers.mleap import MleapRuntime

        runtime = MleapRuntime(
            ModelSettings(name="m", implementation=MleapRuntime, parameters={"uri": str(path)})
        )
        assert asyncio.run(runtime.load())
        return runtime

    return opened


def ask(runtime, *tensors):
    request = InferenceRequest.model_validate({"inputs": list(tensors)})
    return {each.name: each for each in asyncio.run(runtime.predict(request)).outputs}


def columns(colours, sizes, counts):
    return [
        tensor("colour", "BYTES", colours),
        tensor("size", "FP64", sizes),
        tensor("count", "INT32", counts),
    ]


def of_spark(said, some=slice(None)):
    return columns(said["colour"][some], said["size"][some], said["count"][some])


def test_the_metadata_is_that_of_the_pipeline(client):
    about = client.get("/v2/models/digits").raise_for_status().json()
    inputs = {each["name"]: (each["datatype"], each["shape"]) for each in about["inputs"]}
    outputs = {each["name"]: (each["datatype"], each["shape"]) for each in about["outputs"]}
    assert about["platform"] == "mleap"
    assert inputs == {"colour": ("BYTES", [-1]), "size": ("FP64", [-1]), "count": ("FP64", [-1])}
    assert outputs == {
        "colourIndex": ("FP64", [-1]),
        "colourVector": ("FP64", [-1, 2]),
        "features": ("FP64", [-1, 4]),
        "prediction": ("FP64", [-1]),
        "rawPrediction": ("FP64", [-1, 2]),
        "probability": ("FP64", [-1, 2]),
    }


def test_predictions_are_sparks_over_rest(client, bundles):
    said = said_by_spark(bundles, "colours")
    answer = client.post(PATH, json={"inputs": of_spark(said)}).raise_for_status().json()["outputs"]
    assert [each["name"] for each in answer] == ["prediction", "rawPrediction", "probability"]
    assert answer[0]["data"] == said["prediction"]
    assert len(set(said["prediction"])) == 2
    assert answer[2]["shape"] == [200, 2]
    assert np.abs(np.array(answer[2]["data"]) - np.ravel(said["probability"])).max() <= 1e-6


def test_and_over_grpc(server, bundles):
    said = said_by_spark(bundles, "colours")
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        stub = GRPCInferenceServiceStub(channel)
        asked = pb.ModelInferRequest(model_name="digits")
        asked.outputs.add(name="probability")
        for name, datatype, field, values in [
            ("colour", "BYTES", "bytes_contents", [each.encode() for each in said["colour"]]),
            ("size", "FP64", "fp64_contents", said["size"]),
            ("count", "INT32", "int_contents", said["count"]),
        ]:
            into = asked.inputs.add(name=name, shape=[len(values)], datatype=datatype)
            getattr(into.contents, field).extend(values)
        got = np.array(stub.ModelInfer(asked).outputs[0].contents.fp64_contents)
        assert np.abs(got - np.ravel(said["probability"])).max() <= 1e-6
        asked.inputs[0].contents.bytes_contents[3] = b"purple"
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(asked)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "row 3" in refused.value.details()


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ((["red", "purple"], [0.5, 0.5], [1, 1]), "row 1 of this input: Unseen label: purple"),
        (([None], [0.5], [1]), "row 0 has none of colour"),
        ((["red"], [None], [1]), "row 0 has none of size"),
        ((["red"], [0.5], [None]), "row 0 has none of count"),
    ],
)
def test_a_row_that_the_pipeline_refuses_is_named(client, sent, words):
    refused = client.post(PATH, json={"inputs": columns(*sent)})
    assert refused.status_code == 400
    assert words in refused.json()["error"]


def test_malformed_requests_are_refused_in_words(server, client):
    good = {"colour": ("BYTES", ["red"]), "size": ("FP64", [0.5]), "count": ("FP64", [1.0])}
    cases = columns_gone_wrong(good, number="size", text="colour")
    assert len(cases) >= 20
    for case, inputs in cases.items():
        refused = client.post(PATH, json={"inputs": inputs})
        assert refused.status_code == 400, (case, refused.text)
        error = refused.json()["error"]
        assert error, case
        assert "java." not in error, case
    assert "Traceback" not in server.errors()


def test_a_vector_is_one_input_of_any_name(load, bundles):
    said = said_by_spark(bundles, "forest")
    rows = np.array(said["features"])
    runtime = load(bundles / "forest.zip")
    assert [(each.name, each.shape) for each in runtime.inputs] == [("features", [-1, 3])]
    answer = ask(runtime, tensor("whatever", "FP64", rows.ravel().tolist(), list(rows.shape)))
    assert np.abs(np.array(answer["prediction"].data.root) - said["prediction"]).max() <= 1e-6
    with pytest.raises(InferenceError, match="expected 3 values on axis 1, got 2"):
        ask(runtime, tensor("features", "FP64", [1.0, 2.0], [1, 2]))


def test_answers_in_words_and_values_that_the_pipeline_lets_be_missing(load, bundles):
    said = said_by_spark(bundles, "lenient")
    assert None in said["word"]
    answer = ask(
        load(bundles / "lenient.zip"),
        tensor("word", "BYTES", said["word"]),
        tensor("number", "FP64", said["number"]),
    )
    assert [word.decode() for word in answer["answer"].data.root] == said["answer"]
    assert next(iter(answer)) == "answer"  # the one that clients score
    got = np.array(answer["probability"].data.root)
    assert np.abs(got - np.ravel(said["probability"])).max() <= 1e-6


def test_an_unpacked_bundle_is_served_as_its_zip_is(load, bundles, tmp_path):
    said = said_by_spark(bundles, "colours")
    with zipfile.ZipFile(bundles / "colours.zip") as archive:
        archive.extractall(tmp_path / "bundle")
    answer = ask(load(tmp_path / "bundle"), *of_spark(said, slice(0, 9)))
    assert answer["prediction"].data.root == said["prediction"][:9]


def rewritten(bundles, target: Path, change) -> Path:
    """The bundle with files changed: `change` of (name, content) gives the content, or None for no file."""
    with zipfile.ZipFile(bundles / "colours.zip") as source, zipfile.ZipFile(target, "w") as out:
        for member in source.infolist():
            content = change(member.filename, source.read(member))
            if content is not None:
                out.writestr(member, content)
    return target


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda name, content: None if name == "bundle.json" else content, "no bundle.json"),
        (lambda name, content: content[:-20] if name == "root/model.json" else content, "MLeap cannot load"),
        (lambda name, content: None if "Logistic" in name else content, "MLeap cannot load"),
        (
            lambda name, content: content.replace(b"logistic_regression", b"own_operator"),
            "MLeap cannot load .*own_operator",
        ),
        (lambda name, content: b"[" * 200_000 if name == "root/model.json" else content, "MLeap cannot load"),
    ],
    ids=["no description", "cut off", "a stage is not there", "an operator of one's own", "nested deep"],
)
def test_a_damaged_bundle_is_a_load_error_in_one_line(load, bundles, tmp_path, change, words):
    with pytest.raises(ModelError, match=words) as refused:
        load(rewritten(bundles, tmp_path / "model.zip", change))
    assert not isinstance(refused.value, UnsafeModelError)
    assert "\n" not in str(refused.value)
