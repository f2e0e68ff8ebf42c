"""`oci://` addresses on a real registry: what others and we put there, and what hostile images try."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.formats import detect
from fairtrial_servers.image import unpack
from fairtrial_servers.image.artifact import pack_artifact
from fairtrial_servers.image.authentication import RegistryError
from fairtrial_servers.image.blobs import Blobs
from fairtrial_servers.image.oci import CONFIG, EMPTY, LAYER, LAYER_GZIP, MANIFEST, TITLE, Descriptor, encode
from fairtrial_servers.image.packed import Packed
from fairtrial_servers.image.push import push
from fairtrial_servers.store import fetch
from fairtrial_servers.store.oci import download, resolve


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch, no_login):
    monkeypatch.setenv("FAIRTRIAL_CACHE", str(tmp_path / "cache"))


def tar(*members: tuple[str, bytes | str | None, bytes], gz: bool = True) -> bytes:
    """Members are (name, content or link target or None, type)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz" if gz else "w") as made:
        for name, content, kind in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if isinstance(content, str):
                info.linkname = content
            data = content if isinstance(content, bytes) else b""
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return out.getvalue()


def file(name: str, content: bytes = b"x") -> tuple[str, bytes, bytes]:
    return name, content, tarfile.REGTYPE


Put = Callable[..., str]


@pytest.fixture
def put(registry, tmp_path) -> Put:
    """Push layers, each (bytes, media type, annotations); the address."""
    count = [0]

    def pushed(
        *layers: tuple[bytes, str, dict[str, str]], config: tuple[bytes, str] = (b"{}", CONFIG)
    ) -> str:
        count[0] += 1
        blobs = Blobs(tmp_path / f"blobs-{count[0]}")
        held = [blobs.add(*layer) for layer in layers]
        about = blobs.add(*config)
        said = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": about.as_json(),
            "layers": [each.as_json() for each in held],
        }
        root = blobs.add(encode(said), MANIFEST)
        each = list({blob.digest: blob for blob in (*held, about)}.values())
        address = f"{registry.address}/store/{tmp_path.name.lower().replace('_', '-').strip('-')}:v{count[0]}"
        push(Packed(root, (blobs,), [root], each), address)
        return f"oci://{address}"

    return pushed


def layer(*members, gz: bool = True) -> tuple[bytes, str, dict[str, str]]:
    return tar(*members, gz=gz), LAYER_GZIP if gz else LAYER, {}


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_of_a_packed_image_only_the_models_layer_is_fetched(registry, pack_small, digits_file, tmp_path):
    packed = pack_small(digits_file)
    address = f"{registry.address}/store/packed:v1"
    push(packed, address)
    lines: list[str] = []
    download(f"oci://{address}", tmp_path / "into", lines.append)
    assert files(tmp_path / "into") == {"model.joblib": digits_file.read_bytes()}
    assert len(lines) == 1
    assert resolve(f"oci://{address}") == packed.root.digest
    assert detect(fetch(f"oci://{address}", tmp_path)).name == "sklearn"


def test_a_digest_is_the_same_model_for_good_and_a_tag_what_it_names_now(registry, digits_file, tmp_path):
    address = f"{registry.address}/store/moving"
    first = pack_artifact(digits_file, tmp_path / "1")
    push(first, f"{address}:now")
    other = tmp_path / "other" / "model.joblib"
    other.parent.mkdir()
    import joblib
    from sklearn.dummy import DummyClassifier

    joblib.dump(DummyClassifier().fit([[0.0]], [1]), other)
    held = fetch(f"oci://{address}:now", tmp_path)
    push(pack_artifact(other, tmp_path / "2"), f"{address}:now")
    assert files(fetch(f"oci://{address}:now", tmp_path)) == {"model.joblib": other.read_bytes()}
    assert fetch(f"oci://{address}@{first.root.digest}", tmp_path) == held
    assert files(held) == {"model.joblib": digits_file.read_bytes()}


def test_an_artifact_of_a_folder_comes_back_as_it_was(registry, digits_file, tmp_path):
    model = tmp_path / "model"
    (model / "deep" / "er").mkdir(parents=True)
    (model / "model.joblib").write_bytes(digits_file.read_bytes())
    for name in ("deep/er/a", "deep/b", "same"):
        (model / name).write_bytes(b"the same content in three files")
    packed = pack_artifact(model, tmp_path / "work")
    assert packed.root.digest == pack_artifact(model, tmp_path / "again").root.digest
    push(packed, f"{registry.address}/store/folder:v1")
    assert files(fetch(f"oci://{registry.address}/store/folder:v1", tmp_path)) == files(model)


def test_a_folder_pushed_by_oras_comes_back(put, tmp_path):
    unpacked = {TITLE: "wine", "io.deis.oras.content.unpack": "true"}
    address = put(
        (tar(("wine", None, tarfile.DIRTYPE), file("wine/model.joblib", b"m")), LAYER_GZIP, unpacked),
        config=(b"{}", EMPTY),
    )
    assert files(fetch(address, tmp_path)) == {"model.joblib": b"m"}


def test_a_modelkit_comes_back_without_its_data_and_code(put, tmp_path):
    kit = "application/vnd.kitops.modelkit"
    address = put(
        (tar(file("./models/wine.onnx", b"m")), f"{kit}.model.v1.tar+gzip", {}),
        (tar(file("data/train.csv")), f"{kit}.dataset.v1.tar+gzip", {}),
        config=(
            json.dumps({"manifestVersion": "1.0", "model": {"path": "./models/wine.onnx"}}).encode(),
            f"{kit}.config.v1+json",
        ),
    )
    assert files(fetch(address, tmp_path)) == {"wine.onnx": b"m"}


def test_a_modelpack_comes_back(put, tmp_path):
    kind = "application/vnd.cncf.model"
    address = put(
        (b"raw weights", f"{kind}.weight.v1.raw", {"org.cncf.model.filepath": "w/model.bin"}),
        (tar(file("w/config.json", b"{}"), gz=False), f"{kind}.weight.config.v1.tar", {}),
        (tar(file("README.md")), f"{kind}.doc.v1.tar+gzip", {}),
        config=(b"{}", f"{kind}.config.v1+json"),
    )
    assert files(fetch(address, tmp_path)) == {"model.bin": b"raw weights", "config.json": b"{}"}


def test_a_modelcar_is_what_its_layers_leave_after_one_another(put, tmp_path):
    address = put(
        layer(file("etc/passwd"), file("models/a", b"1"), file("models/b", b"1"), file("models/old/c"), gz=False),  # noqa: E501
        layer(file("./models/a", b"2"), file("models/.wh.b", b""), file("models/new/d"), file("models/old/.wh..wh..opq", b"")),  # noqa: E501
        layer(file("models/old/e", b"3"), ("models/link", "old/e", tarfile.SYMTYPE), ("models/hard", "models/a", tarfile.LNKTYPE)),  # noqa: E501
    )  # fmt: skip
    assert files(fetch(address, tmp_path)) == {
        "a": b"2", "new/d": b"x", "old/e": b"3", "link": b"3", "hard": b"2",
    }  # fmt: skip


def test_a_whiteout_of_the_models_folder_empties_it(put, tmp_path):
    address = put(layer(file("models/a")), layer(file(".wh.models", b""), file("models/b", b"2")))
    assert files(fetch(address, tmp_path)) == {"b": b"2"}


def test_a_path_in_the_image_is_taken_where_the_address_names_one(put, tmp_path):
    address = put(layer(file("srv/m/model.joblib", b"m"), file("models/other")))
    assert files(fetch(f"{address}#/srv/m", tmp_path)) == {"model.joblib": b"m"}
    with pytest.raises(ModelError, match="has no model at /nowhere"):
        fetch(f"{address}#/nowhere", tmp_path)
    with pytest.raises(ModelError, match="upwards"):
        fetch(f"{address}#/../etc", tmp_path)


HOSTILE = {
    "a path upwards": [file("models/../../escaped")],
    "a path upwards at the start": [file("../escaped")],
    "a link out": [("models/link", "../../../etc", tarfile.SYMTYPE)],
    "an absolute link out": [("models/link", "/etc/hostname", tarfile.SYMTYPE)],
    "a link out by way of another": [
        ("models/here", ".", tarfile.SYMTYPE),
        ("models/link", "here/../../escaped", tarfile.SYMTYPE),
    ],
    "a hard link out": [("models/link", "etc/hostname", tarfile.LNKTYPE)],
    "a hard link upwards": [("models/link", "models/../../etc/hostname", tarfile.LNKTYPE)],
    "a device": [("models/zero", None, tarfile.CHRTYPE)],
    "a pipe": [("models/pipe", None, tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_layer_is_refused_and_nothing_is_kept(put, tmp_path, case):
    address = put(layer(*HOSTILE[case]))
    with pytest.raises(UnsafeModelError) as refused:
        fetch(address, tmp_path)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.rglob("escaped"))
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert {path.name.rpartition(".")[2] for path in kept} == {"lock"}


def test_nothing_is_written_through_a_link(put, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    address = put(
        layer(
            ("models/d", str(outside), tarfile.SYMTYPE), file("models/d/escaped", b"in"), file("models/ok")
        ),
    )
    assert files(fetch(address, tmp_path)) == {"d/escaped": b"in", "ok": b"x"}
    assert list(outside.iterdir()) == []


def test_a_file_that_a_link_led_to_is_not_overwritten_nor_hidden(put, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    address = put(
        layer(("models/d", str(outside), tarfile.SYMTYPE)),
        layer(file("models/d/.wh.kept", b""), file("models/d/.wh..wh..opq", b"")),
        layer(file("models/.wh.d", b""), file("models/ok")),
    )
    assert files(fetch(address, tmp_path)) == {"ok": b"x"}
    assert (outside / "kept").read_text() == "kept"


@pytest.mark.parametrize("title", ["../escaped", "/../escaped", "a/../../escaped", "a\\..\\escaped"])
def test_a_title_that_leads_out_is_refused(put, tmp_path, title):
    address = put((b"x", "application/octet-stream", {TITLE: title}), config=(b"{}", EMPTY))
    with pytest.raises(UnsafeModelError, match="leads out"):
        fetch(address, tmp_path)


def test_a_bomb_is_refused(put, tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "FLOOR", 1_000_000)
    address = put(layer(file("elsewhere/zeros", bytes(20_000_000)), file("models/m")))
    with pytest.raises(UnsafeModelError, match="times its size"):
        fetch(address, tmp_path)


@pytest.mark.parametrize("content", [b"", b"no tar", tar(file("models/m", b"x" * 9000))[:-200]])
def test_a_damaged_layer_is_said_so(put, tmp_path, content):
    address = put((content, LAYER_GZIP, {}))
    with pytest.raises(ModelError, match=r"is damaged|has no model") as refused:
        fetch(address, tmp_path)
    assert refused.value.exit_code == 3


def test_what_is_not_there_is_said_so(registry, tmp_path):
    with pytest.raises(RegistryError, match="there is no"):
        fetch(f"oci://{registry.address}/store/nothing:v1", tmp_path)
    with pytest.raises(ModelError, match="an address such as oci"):
        fetch("oci://", tmp_path)


def test_an_index_is_followed_to_this_machines_platform(registry, put, tmp_path):
    from fairtrial_servers.image.oci import INDEX
    from fairtrial_servers.image.platforms import own_platform
    from fairtrial_servers.image.reference import parse
    from fairtrial_servers.image.registry import Registry

    address = put(layer(file("models/m", b"ours")))
    reference = parse(address.removeprefix("oci://"))
    with Registry(reference, actions="pull,push") as opened:
        found = opened.manifest()
        assert found is not None
        ours = Descriptor(MANIFEST, found[0].digest, found[0].size, platform=own_platform().as_json())
        other = {**ours.as_json(), "platform": {"os": "windows", "architecture": "amd64"}}
        opened.put_manifest(
            encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": [other, ours.as_json()]}),
            INDEX,
            "index",
        )
        opened.put_manifest(
            encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": [other]}), INDEX, "windows"
        )
    name = f"oci://{reference.registry}/{reference.name}"
    assert files(fetch(f"{name}:index", tmp_path)) == {"m": b"ours"}
    with pytest.raises(ModelError, match=r"has no image for linux/.*; it has windows/amd64"):
        fetch(f"{name}:windows", tmp_path)
