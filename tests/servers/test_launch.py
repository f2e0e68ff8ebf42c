"""Addresses, formats and implementations: what is understood, and what is said of the rest."""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
from pathlib import Path

import pytest
from fairtrial_graphs.backends.interface import Launcher
from fairtrial_servers.errors import ModelError, ServerError
from fairtrial_servers.formats import FORMATS, detect
from fairtrial_servers.launch import model_server, resolve
from fairtrial_servers.store import fetch

OURS = "fairtrial_servers.sklearn.SKLearnRuntime"


def test_the_launcher_fits_the_seam_of_the_backends():
    wanted = inspect.signature(Launcher.__call__).parameters
    assert list(inspect.signature(model_server).parameters) == [name for name in wanted if name != "self"]


def test_a_launch_writes_the_settings_and_starts_nothing(tmp_path):
    command = model_server(
        node="v1", implementation="SKLEARN_SERVER", model_uri="models/v1", http_port=1, grpc_port=2,
        metrics_port=3, parameters={"trusted": "mine"}, folder=str(tmp_path / "deep" / "folder"),
    )  # fmt: skip
    folder = tmp_path / "deep" / "folder"
    assert command.argv == [sys.executable, "-m", "fairtrial_servers.serve", str(folder)]
    settings = json.loads((folder / "settings.json").read_text())
    assert (settings["http_port"], settings["grpc_port"], settings["metrics_port"]) == (1, 2, 3)
    assert settings["debug"] is False
    assert settings["parallel_workers"] == 0
    model = json.loads((folder / "model-settings.json").read_text())
    assert (model["name"], model["implementation"]) == ("v1", OURS)
    assert model["parameters"]["uri"].endswith("/models/v1")
    assert model["parameters"]["uri"].startswith("/")
    assert model["parameters"]["extra"] == {"trusted": "mine"}


@pytest.mark.parametrize("name", ["SKLEARN_SERVER", "FAIRTRIAL_SKLEARN_SERVER", OURS])
def test_names_of_the_sklearn_server(name):
    assert resolve(name) == OURS


def test_another_runtime_is_taken_as_it_is_when_it_is_installed():
    assert resolve("mlserver.model.MLModel") == "mlserver.model.MLModel"


@pytest.mark.parametrize("name", ["mlserver_absent.Model", "mlserver.absent.Model", ".Model"])
def test_a_runtime_that_is_not_installed_is_said_so(name):
    with pytest.raises(ServerError, match="no module"):
        resolve(name)


@pytest.mark.parametrize("name", ["", "TENSORFLOW_SERVER", "sklearn"])
def test_an_unknown_implementation_lists_those_that_are_known(name):
    with pytest.raises(ServerError, match=r"known are .*FAIRTRIAL_SKLEARN_SERVER, SKLEARN_SERVER"):
        resolve(name)


@pytest.mark.parametrize("suffix", ["joblib", "pkl", "pickle", "skops", "PKL"])
def test_formats_are_detected_from_files_and_folders(tmp_path, suffix):
    file = tmp_path / f"model.{suffix}"
    file.touch()
    assert detect(file).name == detect(tmp_path).name == "sklearn"


def test_an_unknown_format_says_what_was_looked_for_and_what_is_there(tmp_path):
    with pytest.raises(ModelError, match=r"looked for .*\.joblib.* found an empty folder"):
        detect(tmp_path)
    (tmp_path / "model.bin").touch()
    (tmp_path / "more").mkdir()
    with pytest.raises(ModelError, match=r"found model\.bin, more/"):
        detect(tmp_path)
    with pytest.raises(ModelError, match="no model at"):
        detect(tmp_path / "absent")


def test_a_runtime_whose_library_is_missing_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ServerError, match=r'pip install "fairtrial-servers\[onnx\]"'):
        resolve("FAIRTRIAL_ONNX_SERVER")


def test_every_format_names_a_runtime_that_exists():
    for known in FORMATS:
        module, _, name = known.implementation.rpartition(".")
        source = importlib.util.find_spec(module)  # not imported, for the library may be absent
        assert source is not None
        assert f"class {name}(" in Path(source.origin).read_text()


def test_paths_and_file_addresses_are_found(tmp_path):
    file = tmp_path / "a model.pkl"
    file.touch()
    assert fetch("a model.pkl", tmp_path) == file
    assert fetch(str(file), tmp_path / "elsewhere") == file
    assert fetch(f"file://{tmp_path}/a%20model.pkl", tmp_path) == file
    assert fetch(f"file://localhost{tmp_path}/a%20model.pkl", tmp_path) == file


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("absent.pkl", "no model at"),
        ("", "no address"),
        ("s4://bucket/model", r's4:///?bucket/model is no address of a model: .*did you mean "s3://"'),
        ("models:/wine", "expected models:/name@alias or models:/name/version"),
        ("file://host/model.pkl", "host"),
    ],
)
def test_addresses_that_lead_nowhere_are_said_so(tmp_path, uri, words):
    with pytest.raises(ModelError, match=words):
        fetch(uri, tmp_path)
