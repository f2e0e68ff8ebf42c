"""Keras files made by hand: layers that run code and weights kept elsewhere are refused, without Keras."""

from __future__ import annotations

import io
import json
import zipfile

import h5py
import numpy as np
import pytest
from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.safety.keras_files import check_keras


def layer(class_name="Dense", module="keras.layers", registered_name=None, **config):
    return {"class_name": class_name, "module": module, "registered_name": registered_name, "config": config}


RELU = {"class_name": "function", "module": "builtins", "config": "relu", "registered_name": "function"}


def model(*layers, **more):
    return {**layer("Sequential", "keras", None, layers=list(layers)), **more}


def weights(edit=None) -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w") as made:
        made.create_group("layers/dense/vars")["0"] = np.zeros((2, 3), np.float32)
        if edit:
            edit(made)
    return content.getvalue()


@pytest.fixture
def check(tmp_path):
    def checked(config, edit=None, **entries):
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(path, "w") as made:
            made.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
            made.writestr("metadata.json", "{}")
            made.writestr("model.weights.h5", weights(edit))
            for name, data in entries.items():
                made.writestr(name, data)
        check_keras(path)

    return checked


@pytest.fixture
def check_h5(tmp_path):
    def checked(config, edit=None):
        path = tmp_path / "model.h5"
        with h5py.File(path, "w") as made:
            if config is not None:
                made.attrs["model_config"] = config if isinstance(config, bytes) else json.dumps(config)
            made.create_group("model_weights")
            if edit:
                edit(made)
        check_keras(path)

    return checked


HONEST = model(
    layer(activation="relu", kernel_initializer=layer("GlorotUniform", "keras.initializers")),
    layer("Functional", "keras.src.models.functional", "Functional"),
    layer(activation=RELU),
    layer("Add", "keras.src.ops.numpy", "Add"),
    layer("StringLookup", vocabulary=["a", "b"]),
    compile_config={
        "loss": {"class_name": "function", "module": "mine", "config": "f", "registered_name": "f"}
    },
)


def test_models_of_keras_own_layers_pass(check, check_h5):
    check(HONEST, **{"assets/layers/lookup/vocabulary.txt": "a\nb"})
    # Keras 2 names no modules.
    check_h5({"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {}}]}})


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (layer("Lambda"), "a Lambda, which is Python code"),
        (
            layer(function={"class_name": "__lambda__", "config": {"value": "4wE="}}),
            "__lambda__, which is Python",
        ),
        (layer("TFSMLayer", filepath="x"), "loads a further model"),
        (layer("TorchModuleWrapper"), "another library"),
        (layer("__typespec__", "os"), "no layer"),
        (layer("system", "os"), r"os\.system"),
        (layer("Popen", "subprocess", "Popen"), r"subprocess\.Popen"),
        (layer("Net", None, "mine>Net"), "mine>Net"),
        (layer("Net", "mine"), r"mine\.Net"),
        (layer("get_file", "keras.utils"), r"keras\.utils\.get_file"),
        (layer("enable_unsafe_deserialization", "keras.config"), "enable_unsafe"),
        (layer("load_model", "keras.models"), "load_model"),
        (layer("Dense", "keras.layers", "mine>Dense"), "not Keras' own"),
        (layer("Dense", "keras.layers.__init__"), "not Keras' own"),
        (layer("os.system", "keras"), "name of a class"),
        (layer(activation={**RELU, "config": "eval", "module": "os"}), r"os\.eval"),
        (layer(activation={**RELU, "config": {"a": 1}}), "name of a function"),
        (layer(["Dense"]), "name of a class"),
        (layer("StringLookup", vocabulary="/etc/passwd"), "vocabulary from the file '/etc/passwd'"),
        (layer("Bidirectional", layer=layer("Lambda")), "Lambda"),
        ([[[layer("Lambda")]]], "Lambda"),
    ],
)
def test_a_layer_that_is_not_keras_own_is_refused_in_both_formats(check, check_h5, bad, words):
    for checked in (check, check_h5):
        with pytest.raises(UnsafeModelError, match=words):
            checked(model(layer(), bad))


def external(file):
    file["more"] = h5py.ExternalLink("/etc/secret.h5", "/x")


def external_data(file):
    file.create_dataset("more", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/secret.h5", "x", (4,))
    file.create_virtual_dataset("more", layout)


def huge(file):
    file.create_dataset("more", (1 << 40,), "f4", chunks=(1 << 20,))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (external, r"link into the file '/etc/secret\.h5'"),
        (external_data, "kept in another file"),
        (virtual, "kept in another file"),
        (huge, "holds more than"),
    ],
)
def test_weights_elsewhere_or_without_end_are_refused(check, check_h5, edit, words):
    for checked in (check, check_h5):
        with pytest.raises(UnsafeModelError, match=words):
            checked(HONEST, edit)


def test_groups_that_hold_one_another_are_walked_once(check):
    def loop(file):
        file["layers"]["again"] = file["layers"]

    check(HONEST, loop)


@pytest.mark.parametrize("name", ["../a", "/a", "run.py", "assets/../../a"])
def test_entries_that_keras_does_not_write_are_refused(check, name):
    with pytest.raises(UnsafeModelError, match="entry"):
        check(HONEST, **{name: b""})


def test_weights_alone_are_a_load_error(check_h5):
    with pytest.raises(ModelError, match=r"weights only: save the whole model"):
        check_h5(None)


@pytest.mark.parametrize(
    ("config", "words"), [("{", "damaged"), ("[]", "no class_name"), ("{}", "no class_name")]
)
def test_a_damaged_configuration_is_a_load_error(check, check_h5, config, words):
    with pytest.raises(ModelError, match=words):
        check(config)
    with pytest.raises(ModelError, match=words):
        check_h5(config.encode())


@pytest.mark.parametrize(
    "content", [b"", b"no archive", b"PK\x03\x04" + b"\0" * 40, b"\x89HDF\r\n\x1a\n" + b"\0" * 9]
)
def test_a_damaged_file_is_a_load_error(tmp_path, content):
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        check_keras(path)


def test_weights_that_are_not_there_are_a_load_error(tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("config.json", json.dumps(HONEST))
    with pytest.raises(ModelError, match=r"no model\.weights\.h5"):
        check_keras(path)
