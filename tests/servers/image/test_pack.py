"""Images of a few kilobytes: what they hold, that they are the same twice, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from experiments.runs import fairtrial
from fairtrial_servers.errors import ModelError, ServerError, UnsafeModelError
from fairtrial_servers.image.layout import write_layout
from fairtrial_servers.image.oci import LAYER_HOLDS, MODEL_DIGEST
from fairtrial_servers.image.platforms import PLATFORMS, own_platform
from servers.image.base import write_base


def config_of(packed) -> dict:
    return json.loads(packed.path(packed.blobs[-1]).read_bytes())


def test_the_same_model_gives_the_same_image_wherever_and_whenever_it_lies(
    pack_small, digits_file, tmp_path, monkeypatch
):
    first = pack_small(digits_file)
    copy = tmp_path / "elsewhere" / "model.joblib"
    copy.parent.mkdir()
    shutil.copyfile(digits_file, copy)
    copy.chmod(0o600)
    assert pack_small(copy).root.digest == first.root.digest
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    later = pack_small(copy)
    assert config_of(later)["created"] == "2023-11-14T22:13:20Z"
    assert [blob.digest for blob in later.blobs[:-1]] == [blob.digest for blob in first.blobs[:-1]]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(ServerError, match="SOURCE_DATE_EPOCH is 'yesterday'"):
        pack_small(copy)


def test_the_image_says_what_it_holds_and_runs_as_nobody_in_particular(pack_small, digits_file):
    packed = pack_small(digits_file, name="digits", parameters={"predict_fn": "predict_proba"})
    config = config_of(packed)
    assert config["config"]["User"] == "8888:8888"
    assert config["config"]["Entrypoint"] == ["python3.11", "-m", "fairtrial_servers.container"]
    assert "FAIRTRIAL_MODEL_PATH=/models/model.joblib" in config["config"]["Env"]
    assert config["config"]["Labels"][MODEL_DIGEST].startswith("sha256:")
    layers = packed.blobs[:-1]
    assert [layer.annotations.get(LAYER_HOLDS) for layer in layers[1:]] == ["dependencies", "server", "model"]
    for layer, diff_id in zip(layers, config["rootfs"]["diff_ids"], strict=True):
        with tarfile.open(packed.path(layer)) as tar:
            members = tar.getmembers()
        assert all((each.uid, each.gid, each.mtime, each.uname) == (0, 0, 0, "") for each in members)
        assert all(not each.mode & 0o022 and each.mode & 0o004 for each in members)
        import gzip

        plain = gzip.decompress(packed.path(layer).read_bytes())
        assert f"sha256:{hashlib.sha256(plain).hexdigest()}" == diff_id


def test_a_layout_is_replaced_whole_and_read_by_another_tool(pack_small, digits_file, tmp_path):
    target = tmp_path / "image"
    for name in ("one", "two"):
        packed = pack_small(digits_file, name=name)
        write_layout(target, packed.root, packed.files(), name)
    kept = {path.name for path in (target / "blobs" / "sha256").iterdir()}
    assert kept == {blob.digest.removeprefix("sha256:") for blob, _ in packed.files()}
    write_layout(tmp_path / "a.tar", packed.root, packed.files(), "two")
    write_layout(tmp_path / "b.tar", packed.root, packed.files(), "two")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        pytest.skip("skopeo is not installed: not read by another tool")
    for source in (f"oci:{target}:two", f"oci-archive:{tmp_path / 'a.tar'}:two"):
        said = subprocess.run([skopeo, "inspect", source], capture_output=True, text=True, check=True).stdout
        assert json.loads(said)["Digest"] == packed.root.digest


def test_several_platforms_are_one_index(pack_small, digits_file, tmp_path):
    from fairtrial_servers.image.pack import Request, pack

    other = next(each for each in PLATFORMS if each != own_platform())
    base = write_base(tmp_path / "base", [], other, ("PYTHON_VERSION=3.12.1",))
    empty = tmp_path / "lock.txt"
    empty.write_text("")
    with pytest.raises(ModelError, match=f"has no image for|made for {other.name}"):
        pack(Request(digits_file, base=str(base), lock=empty), tmp_path / "w1", cache=tmp_path / "cache")
    request = Request(digits_file, base=str(base), lock=empty, platforms=(other,))
    packed = pack(request, tmp_path / "w2", cache=tmp_path / "cache")
    assert config_of(packed)["architecture"] == other.architecture
    assert config_of(packed)["config"]["Entrypoint"][0] == "python3.12"


def test_files_are_included_where_they_are_said_to_be(pack_small, digits_file, tmp_path):
    (tmp_path / "jars").mkdir()
    (tmp_path / "jars" / "a.jar").write_bytes(b"jar")
    packed = pack_small(digits_file, include=((tmp_path / "jars", "/opt/jars"),))
    layer = next(blob for blob in packed.blobs if blob.annotations.get(LAYER_HOLDS) == "files")
    with tarfile.open(packed.path(layer)) as tar:
        assert "opt/jars/a.jar" in tar.getnames()
    with pytest.raises(ServerError, match="expected an absolute path"):
        pack_small(digits_file, include=((tmp_path / "jars", "/opt/../etc"),))


def test_an_unsafe_model_and_a_link_out_of_the_model_get_no_image(pack_small, tmp_path, digits_file):
    hostile = tmp_path / "model.pkl"
    hostile.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UnsafeModelError, match=r"os\.system"):
        pack_small(hostile)
    folder = tmp_path / "model"
    folder.mkdir()
    shutil.copy(digits_file, folder / "model.joblib")
    (folder / "notes").symlink_to("/etc/hostname")
    with pytest.raises(UnsafeModelError, match="is a link out of"):
        pack_small(folder)


def test_the_command_ends_in_sentences_and_exit_codes(tmp_path, digits_file, small_base, no_packages):
    hostile = tmp_path / "model.pkl"
    hostile.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "precious").write_text("x")
    more = ["--base", small_base, "--lock", no_packages, "--cache", tmp_path / "cache"]
    for code, words, arguments in (
        (4, "os.system", [hostile, "-o", tmp_path / "image", *more]),
        (2, "say where the image goes", [digits_file]),
        (2, "is no OCI image layout", [digits_file, "-o", tmp_path / "taken", *more]),
        (2, "names no image", [digits_file, "--push", "team:secret@host/x", *more]),
        (3, "cannot be reached", [digits_file, "--push", "127.0.0.1:9/x:1", *more]),
    ):
        ended = fairtrial("pack", *arguments, cwd=tmp_path)
        assert ended.returncode == code, ended.stderr
        assert words in ended.stderr.splitlines()[-1]
        assert "Traceback" not in ended.stderr
        assert "secret" not in ended.stderr
    assert not (tmp_path / "image").exists()
    assert (tmp_path / "taken" / "precious").read_text() == "x"
    ended = fairtrial(
        "pack", digits_file, "-o", tmp_path / "image.tar", "--output", "json", *more, cwd=tmp_path
    )
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    assert said["image"] == str(tmp_path / "image.tar")
    assert Path(said["image"]).is_file()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
