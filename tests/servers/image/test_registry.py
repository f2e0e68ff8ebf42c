"""Pushing to a real registry and reading back: what is sent, what is not, and what cut connections do."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID
from fairtrial_servers.errors import ModelError, ServerError
from fairtrial_servers.image.authentication import RegistryError
from fairtrial_servers.image.blobs import Blobs
from fairtrial_servers.image.layers import Entry, write_layer
from fairtrial_servers.image.oci import CONFIG, LAYER_HOLDS, MANIFEST, encode
from fairtrial_servers.image.packed import Packed
from fairtrial_servers.image.push import push
from fairtrial_servers.image.reference import parse
from fairtrial_servers.image.registry import PART, Registry

#: "secret", by bcrypt, which is all that the registry reads.
HTPASSWD = "team:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Packed:
    """An image with two layers that do not compress: one of three parts, one of less than one."""
    blobs = Blobs(tmp_path_factory.mktemp("large"))
    layers = [
        write_layer(blobs, [Entry(f"opt/{size}", os.urandom(size))], {LAYER_HOLDS: "files"})
        for size in (2 * PART + 12345, 1000)
    ]
    config = blobs.add(
        encode(
            {
                "architecture": "amd64",
                "os": "linux",
                "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            }
        ),
        CONFIG,
    )
    listed = [layer.descriptor for layer in layers]
    said = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.as_json(),
        "layers": [each.as_json() for each in listed],
    }
    root = blobs.add(encode(said), MANIFEST)
    return Packed(root, (blobs,), [root], [*listed, config])


def read_back(address: str, packed: Packed, into: Path) -> None:
    """Fetch every blob and compare."""
    with Registry(parse(address)) as registry:
        found = registry.manifest()
        assert found is not None
        assert found[0].digest == packed.root.digest
        blobs = Blobs(into)
        for blob in packed.blobs:
            registry.download(blob, blobs)
            assert blobs.path(blob.digest).read_bytes() == packed.path(blob).read_bytes()


def test_what_was_pushed_is_read_back_by_us_and_by_another_tool(registry, large, tmp_path, no_login):
    address = f"{registry.address}/team/large:v1"
    pushed = push(large, address)
    assert str(pushed.reference) == f"{address}@{large.root.digest}"
    assert pushed.uploaded == large.size
    read_back(address, large, tmp_path / "back")
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        pytest.skip("skopeo is not installed: read back by our own client only")
    copied = subprocess.run(
        [skopeo, "copy", "--src-tls-verify=false", f"docker://{address}", f"oci:{tmp_path / 'copy'}:v1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert copied.returncode == 0, copied.stderr
    index = json.loads((tmp_path / "copy" / "index.json").read_text())
    assert index["manifests"][0]["digest"] == large.root.digest


def test_only_the_models_layer_is_uploaded_for_the_second_version(
    registry, pack_small, digits_file, tmp_path, no_login
):
    address = f"{registry.address}/team/digits"
    first = pack_small(digits_file)
    push(first, f"{address}:1")
    other = tmp_path / "v2" / "model.joblib"
    other.parent.mkdir()
    import joblib
    from sklearn.dummy import DummyClassifier

    joblib.dump(DummyClassifier().fit([[0.0]], [1]), other)
    lines: list[str] = []
    second = pack_small(other)
    pushed = push(second, f"{address}:2", progress=lines.append)
    new = {blob.digest: blob for blob in second.blobs if blob.digest not in {b.digest for b in first.blobs}}
    model, config = (blob for blob in new.values())
    assert model.annotations[LAYER_HOLDS] == "model"
    assert config.media_type == CONFIG
    assert pushed.uploaded == model.size + config.size + second.root.size
    assert sum("there already" in line for line in lines[:-1]) == len(second.blobs) - 2
    # The same once more sends the manifest only.
    assert push(second, f"{address}:2").uploaded == second.root.size


def test_a_base_from_the_same_registry_is_mounted_and_not_sent_again(registry, large, tmp_path, no_login):
    push(large, f"{registry.address}/base/large:v1")
    lines: list[str] = []
    mounted = replace(
        large, mount_from={blob.digest: f"{registry.address}/base/large" for blob in large.blobs}
    )
    pushed = push(mounted, f"{registry.address}/team/mounted:v1", progress=lines.append)
    assert pushed.uploaded == large.root.size
    assert sum("taken from base/large" in line for line in lines) == len(large.blobs)
    read_back(f"{registry.address}/team/mounted:v1", large, tmp_path / "back")


PUSH = """
import pickle, sys
from fairtrial_servers.image.push import push
push(pickle.load(open(sys.argv[1], "rb")), sys.argv[2], progress=lambda line: print(line, flush=True))
"""


def _pushing(packed: Packed, address: str, folder: Path) -> subprocess.Popen[str]:
    import pickle

    file = folder / "packed.pickle"
    file.write_bytes(pickle.dumps(packed))
    return subprocess.Popen(
        [sys.executable, "-c", PUSH, str(file), address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_push_that_is_killed_leaves_no_tag_and_ends_the_same_when_repeated(
    registry, large, tmp_path, no_login
):
    address = f"{registry.address}/team/killed:v1"
    process = _pushing(large, address, tmp_path)
    assert process.stdout is not None
    assert "uploaded" in process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with Registry(parse(address)) as opened:
        if opened.manifest() is not None:
            pytest.fail("the push was over before it was killed")
    lines: list[str] = []
    pushed = push(large, address, progress=lines.append)
    assert pushed.reference.digest == large.root.digest
    assert "there already" in lines[0]
    read_back(address, large, tmp_path / "back")


def test_pushes_of_the_same_image_at_once_end_the_same(registry, large, tmp_path, no_login):
    address = f"{registry.address}/team/atonce:v1"
    pushing = [_pushing(large, address, tmp_path) for _ in range(3)]
    for process in pushing:
        _out, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
    read_back(address, large, tmp_path / "back")


class Cutting:
    """Between a client and a registry: ends each of the first connections after so many bytes one way."""

    def __init__(self, to: str, *, cuts: int, after: int, upstream: bool) -> None:
        host, _, port = to.partition(":")
        self._to = (host, int(port))
        self._cuts, self._after, self._upstream = cuts, after, upstream
        self.made = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._to)
            for source, target, counted in (
                (client, server, self._upstream),
                (server, client, not self._upstream),
            ):
                threading.Thread(target=self._pump, args=(source, target, counted), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        passed = 0
        try:
            while data := source.recv(65536):
                target.sendall(data)
                passed += len(data)
                if counted and passed > self._after and self.made < self._cuts:
                    self.made += 1
                    break
        except OSError:
            pass
        # Both ways at once, as a broken network does; what is under way is lost.
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def cutting(registry) -> Iterator[Callable[..., Cutting]]:
    made: list[Cutting] = []

    def begin(**how) -> Cutting:
        made.append(Cutting(registry.address, **how))
        return made[-1]

    yield begin
    for each in made:
        each.close()


def test_an_upload_survives_cut_connections(registry, large, cutting, tmp_path, no_login):
    proxy = cutting(cuts=3, after=PART // 2, upstream=True)
    push(large, f"{proxy.address}/team/cut:v1")
    assert proxy.made == 3
    read_back(f"{registry.address}/team/cut:v1", large, tmp_path / "back")


def test_a_download_goes_on_where_the_connection_was_cut(registry, large, cutting, tmp_path, no_login):
    push(large, f"{registry.address}/team/cutdown:v1")
    proxy = cutting(cuts=3, after=PART // 2, upstream=False)
    read_back(f"{proxy.address}/team/cutdown:v1", large, tmp_path / "back")
    assert proxy.made == 3


def test_a_registry_that_is_not_there_is_said_so(large, free_ports, no_login):
    (port,) = free_ports(1)
    with (
        Registry(parse(f"127.0.0.1:{port}/team/x:v1"), pause=0.01) as gone,
        pytest.raises(RegistryError, match=rf"127\.0\.0\.1:{port} cannot be reached: .*refused"),
    ):
        gone.manifest()


def test_a_blob_that_is_damaged_in_the_registry_is_not_kept(run_registry, large, tmp_path, no_login):
    registry = run_registry()
    push(large, f"{registry.address}/team/x:v1")
    blob = large.blobs[1]
    data = bytearray(registry.blob(blob.digest).read_bytes())
    data[len(data) // 2] ^= 1
    registry.blob(blob.digest).write_bytes(data)
    into = Blobs(tmp_path / "back")
    with (
        Registry(parse(f"{registry.address}/team/x:v1")) as opened,
        pytest.raises(ModelError, match="is damaged"),
    ):
        opened.download(blob, into)
    assert not into.path(blob.digest).exists()
    assert list((tmp_path / "back" / "blobs" / "sha256").iterdir()) == []


@pytest.fixture(scope="module")
def guarded(run_registry, tmp_path_factory):
    file = tmp_path_factory.mktemp("users") / "htpasswd"
    file.write_text(HTPASSWD)
    return run_registry(f"auth: {{htpasswd: {{realm: team, path: {file}}}}}\n")


def _login(folder: Path, registry: str, user: str, password: str) -> None:
    entry = {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}
    (folder / "config.json").write_text(json.dumps({"auths": {registry: entry}}))


def test_docker_logins_are_used_and_their_passwords_told_to_nobody(
    guarded, large, tmp_path, no_login, caplog
):
    address = f"{guarded.address}/team/x:v1"
    with pytest.raises(RegistryError, match="docker login"):
        push(large, address)
    _login(no_login, guarded.address, "team", "hunter2")
    with pytest.raises(RegistryError, match="docker login") as refused:
        push(large, address)
    assert "hunter2" not in str(refused.value)
    _login(no_login, guarded.address, "team", "secret")
    lines: list[str] = []
    push(large, address, progress=lines.append)
    read_back(address, large, tmp_path / "back")
    assert "secret" not in "\n".join(lines) + caplog.text


def test_a_credential_helper_is_asked(guarded, large, tmp_path, no_login, monkeypatch):
    helper = tmp_path / "bin" / "docker-credential-ours"
    helper.parent.mkdir()
    helper.write_text(
        f'#!/bin/sh\nread key; [ "$key" = "{guarded.address}" ] && '
        f'echo \'{{"Username": "team", "Secret": "secret"}}\'\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{helper.parent}{os.pathsep}{os.environ['PATH']}")
    (no_login / "config.json").write_text(json.dumps({"credHelpers": {guarded.address: "ours"}}))
    push(large, f"{guarded.address}/team/helped:v1")
    (no_login / "config.json").write_text(json.dumps({"credsStore": "missing"}))
    with pytest.raises(ServerError, match="docker-credential-missing"):
        push(large, f"{guarded.address}/team/helped:v1")


class Tokens:
    """The token server of a registry: gives out tokens to one user, signed by a key that the registry knows."""  # noqa: E501

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self._key.public_key())
            .serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .sign(self._key, hashes.SHA256())
        )  # fmt: skip
        self._der = certificate.public_bytes(serialization.Encoding.DER)
        self.bundle = folder / "tokens.pem"
        self.bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.scopes: list[str] = []
        tokens = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                login = base64.b64encode(b"team:secret").decode()
                asked = parse_qs(urlsplit(self.path).query)
                if self.headers.get("Authorization") != f"Basic {login}":
                    self.send_response(401)
                    self.end_headers()
                    return
                tokens.scopes.append(asked["scope"][0])
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps({"token": tokens.token(asked["scope"][0])}).encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.realm = f"http://127.0.0.1:{self._server.server_port}/token"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def token(self, scope: str) -> str:
        kind, name, actions = scope.split(":")
        now = int(datetime.datetime.now(datetime.UTC).timestamp())
        header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(self._der).decode()]}
        claims = {
            "iss": "tokens", "sub": "team", "aud": "registry", "exp": now + 60, "nbf": now - 10, "iat": now,
            "jti": "1", "access": [{"type": kind, "name": name, "actions": actions.split(",")}],
        }  # fmt: skip
        signed = ".".join(_url(json.dumps(part).encode()) for part in (header, claims))
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_bearer_tokens_are_asked_for_where_the_registry_says(run_registry, large, tmp_path, no_login):
    tokens = Tokens(tmp_path)
    try:
        registry = run_registry(
            f"auth: {{token: {{realm: '{tokens.realm}', service: registry, issuer: tokens, "
            f"rootcertbundle: {tokens.bundle}}}}}\n"
        )
        with pytest.raises(RegistryError, match="docker login"):
            push(large, f"{registry.address}/team/x:v1")
        _login(no_login, registry.address, "team", "secret")
        push(large, f"{registry.address}/team/x:v1")
        read_back(f"{registry.address}/team/x:v1", large, tmp_path / "back")
        assert set(tokens.scopes) == {"repository:team/x:pull,push", "repository:team/x:pull"}
    finally:
        tokens.close()


@pytest.mark.parametrize(
    "text",
    ["", "UPPER/name:x", "a b", "host/na me", "user:secret@host/name", "host/name:", "host/name@sha256:1"],
)
def test_what_names_no_image_is_said_so_without_the_password_in_it(text):
    with pytest.raises(ServerError, match="names no image") as refused:
        parse(text)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("python:3.11-slim", "docker.io/library/python:3.11-slim"),
        ("team/model", "docker.io/team/model:latest"),
        ("localhost/x", "localhost/x:latest"),
        ("reg.example:5000/a/b/c:v1", "reg.example:5000/a/b/c:v1"),
        (f"reg.example/a@sha256:{'0' * 64}", f"reg.example/a@sha256:{'0' * 64}"),
    ],
)
def test_references_are_read_as_docker_reads_them(text, full):
    assert str(parse(text)) == full
