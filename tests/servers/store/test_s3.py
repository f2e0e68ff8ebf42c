"""Models in S3, on moto's server: objects, prefixes, versions, changes, and connections that break off."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator

import boto3
import pytest
from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.formats import detect
from fairtrial_servers.store import fetch, obtain
from fairtrial_servers.store.interface import UnreachableError
from servers.store.programs import BreakingProxy, answers, free_port, running

CONTENT = bytes(range(256)) * 5000


@pytest.fixture(scope="module")
def moto(tmp_path_factory) -> Iterator[int]:
    port = free_port()
    argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(argv, answers(port), tmp_path_factory.mktemp("moto")):
        yield port


@pytest.fixture(autouse=True)
def _environment(moto, monkeypatch):
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{moto}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def bucket(moto, request):
    """An empty bucket; its name is that of the test."""
    name = request.node.originalname.replace("_", "-")[:60].strip("-")
    made = boto3.resource("s3", endpoint_url=f"http://127.0.0.1:{moto}").Bucket(name)
    made.create()
    yield made
    made.object_versions.delete()


def test_an_object_is_fetched_once_and_again_when_it_changed(bucket, tmp_path):
    bucket.put_object(Key="a/wine.joblib", Body=CONTENT)
    uri = f"s3://{bucket.name}/a/wine.joblib"
    told = []
    path = fetch(uri, tmp_path, lambda done, total: told.append((done, total)))
    assert (path.name, path.read_bytes()) == ("wine.joblib", CONTENT)
    assert told[-1] == (len(CONTENT), len(CONTENT))
    told.clear()
    assert fetch(uri, tmp_path, lambda done, total: told.append((done, total))) == path
    assert told == []
    bucket.put_object(Key="a/wine.joblib", Body=b"new")
    assert fetch(uri, tmp_path).read_bytes() == b"new"


@pytest.mark.parametrize("end", ["", "/"])
def test_a_prefix_is_a_folder(bucket, tmp_path, end):
    bucket.put_object(Key="wine/", Body=b"")  # what consoles make
    bucket.put_object(Key="wine/MLmodel", Body=b"m")
    bucket.put_object(Key="wine/data/model.onnx", Body=b"o")
    bucket.put_object(Key="wine2/MLmodel", Body=b"another model")
    uri = f"s3://{bucket.name}/wine{end}"
    folder = fetch(uri, tmp_path)
    assert sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()) == [
        "MLmodel",
        "data/model.onnx",
    ]
    assert detect(folder).name == "mlflow"
    bucket.Object("wine/data/model.onnx").delete()
    assert not (fetch(uri, tmp_path) / "data").exists()


def test_a_version_is_fixed_and_needs_no_store(bucket, tmp_path, monkeypatch):
    bucket.Versioning().enable()
    first = bucket.put_object(Key="m.onnx", Body=b"one").version_id
    bucket.put_object(Key="m.onnx", Body=b"two")
    uri = f"s3://{bucket.name}/m.onnx?versionId={first}"
    path = fetch(uri, tmp_path)
    assert (path.name, path.read_bytes()) == ("m.onnx", b"one")
    bucket.object_versions.delete()
    assert fetch(uri, tmp_path) == path
    with pytest.raises(ModelError, match="no model at"):
        fetch(f"s3://{bucket.name}/m.onnx", tmp_path)


def test_names_that_lead_elsewhere_are_refused(bucket, tmp_path):
    bucket.put_object(Key="wine/ok", Body=b"x")
    bucket.put_object(Key="wine/a\\..\\evil", Body=b"x")
    with pytest.raises(UnsafeModelError, match="leads elsewhere is refused"):
        fetch(f"s3://{bucket.name}/wine", tmp_path)


def test_a_prefix_of_too_many_objects_is_refused(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr("fairtrial_servers.store.receiving.MOST_FILES", 3)
    for number in range(4):
        bucket.put_object(Key=f"wine/{number}", Body=b"x")
    with pytest.raises(ModelError, match="more than 3 files: is this the folder of one model"):
        fetch(f"s3://{bucket.name}/wine", tmp_path)


@pytest.mark.parametrize("key", ["absent.onnx", "absent/"])
def test_nothing_there_is_said_so(bucket, tmp_path, key):
    with pytest.raises(ModelError, match=f"no model at s3://{bucket.name}/{key}"):
        fetch(f"s3://{bucket.name}/{key}", tmp_path)


def test_no_bucket_is_said_so(tmp_path):
    with pytest.raises(ModelError, match="no model at s3://absent-bucket/m"):
        fetch("s3://absent-bucket/m", tmp_path)


def test_no_credentials_are_said_so(bucket, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(ModelError, match=r"may not be read: .*credentials come from AWS's usual places"):
        fetch(f"s3://{bucket.name}/m", tmp_path)


def test_a_download_that_breaks_off_is_never_served(bucket, tmp_path, moto, cache, monkeypatch):
    bucket.put_object(Key="m.onnx", Body=CONTENT)
    proxy = BreakingProxy(moto, most=500_000)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
    try:
        with pytest.raises(UnreachableError, match=r"m\.onnx cannot be fetched"):
            fetch(f"s3://{bucket.name}/m.onnx", tmp_path)
    finally:
        proxy.close()
    assert list((cache / "models").iterdir()) == []
    assert list((cache / "incoming").iterdir()) == []


def test_a_checksum_that_is_another_is_seen(bucket, tmp_path, monkeypatch):
    bucket.put_object(Key="m.onnx", Body=CONTENT)
    other = hashlib.sha1(usedforsecurity=False)
    monkeypatch.setattr("fairtrial_servers.store.receiving.hashlib.md5", lambda **_: other)
    with pytest.raises(UnreachableError, match="not the checksum that the store gives"):
        fetch(f"s3://{bucket.name}/m.onnx", tmp_path)


def test_a_store_that_is_down_is_said_so_without_its_credentials(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(UnreachableError, match=r"cannot be fetched: .*onnect") as refused:
        fetch("s3://bucket/m.onnx", tmp_path)
    assert "very-secret" not in str(refused.value)


def test_the_digest_of_a_folder_is_that_of_its_lines(bucket, tmp_path):
    bucket.put_object(Key="wine/a", Body=b"a")
    bucket.put_object(Key="wine/b/c", Body=b"c")
    lines = "".join(f"{hashlib.sha256(x).hexdigest()}  {n}\n" for n, x in (("a", b"a"), ("b/c", b"c")))
    found = obtain(f"s3://{bucket.name}/wine", tmp_path)
    assert found.digest() == f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"
