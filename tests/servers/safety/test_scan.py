"""The scan: hostile files are refused and none runs, honest ones pass, what cannot be examined is unsafe."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
from fairtrial_servers.errors import ModelError
from fairtrial_servers.safety.scan import content, machine, names
from fairtrial_servers.safety.scan.content import Role
from fairtrial_servers.safety.scan.findings import Kind
from fairtrial_servers.safety.scan.survey import scan
from servers.safety import hostile
from servers.test_safety import HONEST
from skl2onnx import to_onnx


@pytest.fixture(scope="module")
def marker(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("marker") / "ran"


@pytest.fixture(scope="module")
def written(tmp_path_factory, marker) -> dict[str, Path]:
    return hostile.write(tmp_path_factory.mktemp("hostile"), marker)


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", hostile.files(Path("/nowhere")))
def test_hostile_files_are_refused_and_nothing_in_them_runs(written, marker, name):
    report = scan(written[name])
    assert not report.safe
    assert not report.damaged, [str(found) for found in report.findings]
    assert all("\n" not in str(found) for found in report.findings)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("name", "loader"),
    [
        ("protocol-0.pkl", "pickle"),
        ("protocol-5.pkl", "joblib"),
        ("partial-of-system.pkl", "pickle"),
        ("names-from-the-memo.pkl", "pickle"),
        ("no-stop.pkl", "pickle"),
        ("array-of-objects.joblib", "joblib"),
        ("joblib-xz.joblib", "joblib"),
        ("in-joblibs-array.joblib", "pickle"),
    ],
)
def test_the_hostile_files_are_what_they_say(written, marker, name, loader):
    load = f"import {loader}, sys; {loader}.load(open(sys.argv[1], 'rb'))"
    subprocess.run([sys.executable, "-c", load, str(written[name])], capture_output=True, check=False)
    assert marker.exists()
    marker.unlink()


@pytest.mark.parametrize("name", hostile.BOMBS)
def test_bombs_are_refused_at_the_limit(tmp_path, monkeypatch, name):
    monkeypatch.setattr(content, "MAX_UNFOLDED", 100 << 20)
    report = scan(put(tmp_path / name, hostile.BOMBS[name]()))
    assert "unfolds to more than 0.1 GiB" in str(report.findings[-1])


def test_an_archive_of_many_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(content, "MAX_MEMBERS", 10)
    many = hostile.zipped(*((f"{number}.txt", b"x") for number in range(11)))
    assert "more files than are examined" in str(scan(put(tmp_path / "a.zip", many)).findings[0])


def test_a_pickle_of_many_steps_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "MAX_STEPS", 1 << 16)
    report = scan(put(tmp_path / "a.pkl", b"\x80\x04" + b"N0" * (1 << 17) + b"N."))
    assert "steps to go through" in str(report.findings[0])


@pytest.mark.parametrize("name", HONEST)
def test_honest_estimators_pass_however_they_are_kept(tmp_path, name):
    model = HONEST[name]
    put(tmp_path / "a.pkl", pickle.dumps(model))
    put(tmp_path / "old.pkl", pickle.dumps(model, 2))
    joblib.dump(model, tmp_path / "a.joblib")
    joblib.dump(model, tmp_path / "packed.joblib", compress=3)
    skops.io.dump(model, tmp_path / "a.skops")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "packed.joblib", "model.joblib")
    report = scan(tmp_path)
    assert [str(found) for found in report.findings] == []
    assert report.files == 10 + len(zipfile.ZipFile(tmp_path / "a.skops").namelist())


def honest(folder: Path) -> None:
    """What goes with models of several formats, in the forms that their libraries write."""
    x = np.zeros((2, 3), np.float32)
    (folder / "model.onnx").write_bytes(to_onnx(HONEST["logistic"], x).SerializeToString())
    np.save(folder / "a.npy", x)
    np.savez(folder / "a.npz", x=x, names=np.array(["a", "b"]))
    put(folder / "MLmodel", b"flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n")
    put(folder / "requirements.txt", b"cloudpickle==3.1.1\nnumpy==2.0\n")
    put(folder / "conda.yaml", b"channels:\n- conda-forge\ndependencies:\n- python=3.11\n")
    put(folder / "README.md", b"# Churn\n\ncats are nice\nindeed\n")
    put(folder / "begins with an x.txt", b"x = 1\n")
    put(folder / "xgboost.json", b'{"learner":{"attributes":{}},"version":[3,0,0]}')
    put(folder / "xgboost.ubj", b"{L\0\0\0\0\0\0\0\x07learner{}}")
    put(folder / "lightgbm.txt", b"tree\nversion=v4\nnum_class=1\n\nTree=0\nend of trees\n")
    put(folder / "model.pmml", b'<?xml version="1.0"?><PMML version="4.4"><Header/></PMML>')
    put(folder / "dense.keras", hostile.keras_zip(hostile.DENSE))
    config = json.dumps(hostile.keras_config(hostile.DENSE))
    put(folder / "dense.h5", hostile.hdf5(lambda file: file.attrs.update(model_config=config)))
    header = b'{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}'
    put(folder / "a.safetensors", len(header).to_bytes(8, "little") + header + b"\x80\x04cx")
    inner = ("__inference__call_1", (hostile.node("s", "MatMul"),))
    saved = hostile.graph(hostile.node("out", "MatMul"), functions=(inner,))
    put(folder / "saved_model.pb", hostile.saved_model(saved))
    put(folder / "frozen.pb", hostile.graph(hostile.node("x", "Placeholder"), hostile.node("y", "Relu", "x")))
    tensor = (
        b"\x80\x02}q\0X\x01\0\0\0wq\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02((X\x07\0\0\0storageq\x03"
        b"ctorch\nFloatStorage\nq\x04X\x01\0\0\x000q\x05X\x03\0\0\0cpuq\x06K\x04tq\x07QK\0K\x04\x85q\x08K\x01\x85"
        b"q\t\x89ccollections\nOrderedDict\nq\n)Rq\x0btq\x0cRq\rs."
    )
    put(folder / "state.pt", hostile.torch_zip(tensor))
    script = b"def forward(self, x):\n  return torch.relu(x)\n"
    scripted = b"\x80\x02c__torch__.net\nNet\n)\x81}b."
    more = (("archive/constants.pkl", b"\x80\x02)."), ("archive/code/__torch__/net.py", script))
    put(folder / "script.pt", hostile.torch_zip(scripted, *more))


def test_honest_files_of_other_formats_pass(tmp_path):
    honest(tmp_path)
    assert [str(found) for found in scan(tmp_path).findings] == []


def test_a_finding_says_where_what_and_why(tmp_path):
    made = hostile.tarred(("model.joblib", hostile.calling("os", "system", "true")), mode="w:gz")
    (found,) = scan(put(tmp_path / "model.tar.gz", made)).findings
    assert str(found) == (
        "model.tar.gz > model.tar > model.joblib: refers to os.system, which runs commands: no model needs it"
    )


def test_what_cannot_be_examined_is_unsafe_in_other_words(tmp_path):
    (found,) = scan(put(tmp_path / "model.bin", b"\x81\x82\x83" * 20)).findings
    assert found.kind is Kind.UNKNOWN
    assert "cannot be examined" in str(found)
    assert "refers to" not in str(found)


@pytest.mark.parametrize("suffix", ["joblib", "pkl", "skops", "onnx", "npy", "keras", "h5", "gz"])
def test_damaged_files_are_never_safe(tmp_path, suffix):
    path = tmp_path / f"model.{suffix}"
    if suffix in ("joblib", "pkl"):
        joblib.dump(HONEST["forest"], path)
    elif suffix == "skops":
        skops.io.dump(HONEST["forest"], path)
    elif suffix == "onnx":
        path.write_bytes(to_onnx(HONEST["logistic"], np.zeros((1, 3), np.float32)).SerializeToString())
    elif suffix == "npy":
        np.save(path, np.zeros(100))
    elif suffix == "keras":
        path.write_bytes(hostile.keras_zip(hostile.DENSE))
    elif suffix == "h5":
        path.write_bytes(hostile.hdf5(lambda file: file.create_dataset("w", data=np.arange(5000))))
    else:
        path.write_bytes(gzip.compress(pickle.dumps(HONEST["forest"])))
    whole = path.read_bytes()
    assert scan(path).safe
    for damage in (whole[: len(whole) // 2], whole[:-1]):
        assert not scan(put(path, damage)).safe


def test_random_damage_never_escapes_as_another_error(tmp_path):
    random = np.random.default_rng(1)
    held = io.BytesIO()
    joblib.dump(HONEST["columns"], held)
    for whole in (held.getvalue(), hostile.keras_zip(hostile.DENSE), hostile.saved_model(hostile.graph())):
        for _ in range(60):
            damaged = bytearray(whole)
            for place in random.integers(0, len(whole), 3):
                damaged[place] = random.integers(0, 256)
            name = "saved_model.pb" if whole[:1] == b"\x08" else "model.bin"
            scan(put(tmp_path / name, bytes(damaged)))


def test_allowed_names_pass_and_are_recorded(tmp_path):
    path = put(tmp_path / "a.pkl", hostile.calling("houses.models", "Prices"))
    assert not scan(path).safe
    for allow in ("houses", "houses.models", "houses.models.Prices"):
        report = scan(path, allow=[allow])
        assert report.safe
        assert [found.name for found in report.allowed] == ["houses.models.Prices"]
    assert not scan(path, allow=["house", "houses.models.Price"]).safe


def test_an_allowed_module_does_not_cover_what_is_known_to_be_dangerous(tmp_path):
    path = put(tmp_path / "a.pkl", hostile.calling("os", "system", "true"))
    assert not scan(path, allow=["os"]).safe
    assert scan(path, allow=["os.system"]).safe
    assert not scan(put(path, hostile.calling("houses", "os.system", "true")), allow=["houses"]).safe


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "model.pkl")
    (tmp_path / "gone.pkl").symlink_to(tmp_path / "nothing")
    (tmp_path / "ring").symlink_to(tmp_path)
    said = " ".join(str(found) for found in scan(tmp_path).findings)
    assert "pipe" in said
    assert "link to nothing" in said


def test_nothing_there_is_an_error_of_its_own(tmp_path):
    with pytest.raises(ModelError, match="no model at"):
        scan(tmp_path / "nothing")
    with pytest.raises(ModelError, match="no file in"):
        scan(tmp_path)


def test_tensors_beside_an_onnx_model_are_not_taken_for_anything(tmp_path):
    put(tmp_path / "model.onnx", hostile.onnx_outside("w.bin"))
    put(tmp_path / "w.bin", b"\x80\x04cos\nsystem\n.")
    assert scan(tmp_path).safe
    (tmp_path / "model.onnx").unlink()
    assert not scan(tmp_path).safe


def test_a_name_of_torch_is_admitted_in_files_of_torch_only():
    assert names.admitted("torch._utils", "_rebuild_tensor_v2", Role.TORCH)
    assert not names.admitted("torch._utils", "_rebuild_tensor_v2", Role.ANY)
    assert not names.admitted("torch.storage", "_load_from_bytes", Role.TORCH)
    assert not names.admitted("sklearn.linear_model", "Ridge", Role.TORCH)


def test_a_version_that_lacks_a_class_is_said_so(tmp_path):
    (found,) = scan(put(tmp_path / "a.pkl", b"csklearn.linear_model\nRetired\n.")).findings
    assert found.kind is Kind.UNKNOWN
    assert "not in the version that is installed here" in str(found)
