"""Models in Azure's Blob Storage, on a real Azurite."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.store import fetch
from fairtrial_servers.store.interface import UnreachableError
from servers.store.programs import BreakingProxy, answers, free_port, running

pytestmark = pytest.mark.heavy

pytest.importorskip("adlfs", reason="Azure's library is missing: uv sync --group stores")

CONTENT = bytes(range(256)) * 5000
ACCOUNT = "devstoreaccount1"
# Azurite's own, which everybody knows.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@pytest.fixture(scope="module")
def azurite(tmp_path_factory) -> Iterator[int]:
    found = os.environ.get("AZURITE_BLOB") or shutil.which("azurite-blob")
    if not found:
        pytest.skip("Azurite is not installed: npm install azurite, and AZURITE_BLOB=.../.bin/azurite-blob")
    folder, port = tmp_path_factory.mktemp("azurite"), free_port()
    argv = [found, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder), "--silent",
            "--skipApiVersionCheck", "--disableTelemetry"]  # fmt: skip
    with running(argv, answers(port), folder):
        yield port


def connection(port: int) -> str:
    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"


@pytest.fixture(autouse=True)
def _environment(azurite, monkeypatch):
    for name in list(os.environ):
        if name.startswith("AZURE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection(azurite))


@pytest.fixture
def container(azurite, request):
    from azure.storage.blob import BlobServiceClient

    name = request.node.originalname.replace("_", "-")[:60].strip("-")
    with BlobServiceClient.from_connection_string(connection(azurite)) as service:
        made = service.get_container_client(name)
        made.create_container()
        yield made
        made.delete_container()


@pytest.mark.parametrize(
    "form",
    [
        "az://{container}/{path}",
        "abfs://{container}@devstoreaccount1.dfs.core.windows.net/{path}",
        "abfss://{container}@devstoreaccount1.dfs.core.windows.net/{path}",
        "wasbs://{container}@devstoreaccount1.blob.core.windows.net/{path}",
    ],
)
def test_a_blob_and_a_prefix_by_every_kind_of_address(container, tmp_path, form):
    container.upload_blob("wine/MLmodel", b"m")
    container.upload_blob("wine/data/model.onnx", CONTENT)
    container.upload_blob("wine2/MLmodel", b"another model")
    folder = fetch(form.format(container=container.container_name, path="wine"), tmp_path)
    assert sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()) == [
        "MLmodel",
        "data/model.onnx",
    ]
    file = fetch(form.format(container=container.container_name, path="wine/data/model.onnx"), tmp_path)
    assert (file.name, file.read_bytes()) == ("model.onnx", CONTENT)


def test_a_blob_is_fetched_again_only_when_it_changed(container, tmp_path):
    container.upload_blob("m.onnx", CONTENT)
    uri = f"az://{container.container_name}/m.onnx"
    told = []
    path = fetch(uri, tmp_path, lambda done, total: told.append((done, total)))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    told.clear()
    assert fetch(uri, tmp_path, lambda *of: told.append(of)) == path
    assert told == []
    container.upload_blob("m.onnx", b"new", overwrite=True)
    assert fetch(uri, tmp_path).read_bytes() == b"new"


def test_a_checksum_that_is_another_is_seen(container, tmp_path):
    from azure.storage.blob import ContentSettings

    wrong = ContentSettings(content_md5=bytearray(16))
    container.upload_blob("m.onnx", CONTENT).set_http_headers(wrong)
    with pytest.raises(UnreachableError, match="not the checksum that the store gives"):
        fetch(f"az://{container.container_name}/m.onnx", tmp_path)


def test_names_that_lead_elsewhere_are_refused(container, tmp_path):
    container.upload_blob("wine/ok", b"x")
    container.upload_blob("wine/a\\..\\evil", b"x")
    with pytest.raises((UnsafeModelError, ModelError)):
        fetch(f"az://{container.container_name}/wine", tmp_path)


@pytest.mark.parametrize("path", ["absent/m.onnx", "{}/absent.onnx", "{}/absent/"])
def test_nothing_there_is_said_so(container, tmp_path, path):
    with pytest.raises(ModelError, match="no model at az://"):
        fetch(f"az://{path.format(container.container_name)}", tmp_path)


def test_a_download_that_breaks_off_is_never_served(container, tmp_path, azurite, cache, monkeypatch):
    container.upload_blob("m.onnx", CONTENT)
    proxy = BreakingProxy(azurite, most=500_000)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection(proxy.port))
    try:
        with pytest.raises(UnreachableError, match=r"m\.onnx cannot be fetched"):
            fetch(f"az://{container.container_name}/m.onnx", tmp_path)
    finally:
        proxy.close()
    assert list((cache / "models").iterdir()) == []


def test_a_wrong_key_is_said_so_and_not_shown(container, tmp_path, azurite, monkeypatch):
    container.upload_blob("m.onnx", CONTENT)
    wrong = "QQ" + KEY[2:]
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection(azurite).replace(KEY, wrong))
    with pytest.raises(ModelError, match="may not be read") as refused:
        fetch(f"az://{container.container_name}/m.onnx", tmp_path)
    assert wrong not in str(refused.value)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        (
            "abfs://models@other.dfs.core.windows.net/m",
            "in the account other, but .* is for devstoreaccount1",
        ),
        ("wasbs://models@example.com/m", "the host is ACCOUNT"),
    ],
)
def test_addresses_that_do_not_fit_the_environment_are_said_so(tmp_path, uri, words):
    with pytest.raises(ModelError, match=words):
        fetch(uri, tmp_path)


def test_an_address_without_an_account_says_what_to_set(tmp_path, monkeypatch):
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    with pytest.raises(ModelError, match="says no account: set AZURE_STORAGE_ACCOUNT_NAME"):
        fetch("az://models/m", tmp_path)


def test_a_store_that_is_down_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection(free_port()))
    with pytest.raises(UnreachableError, match="cannot be fetched"):
        fetch("az://models/m.onnx", tmp_path)
