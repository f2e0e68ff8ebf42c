"""A real etcd, kube-apiserver and kube-controller-manager on 127.0.0.1, as processes of a test run.

Nothing schedules or runs pods: with the controller manager a Deployment gets its ReplicaSet and Pods, and
those stay Pending.
"""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from cluster.client import https
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fairtrial_graphs.backends.local.process import GuardedProcess

START_LIMIT = 90.0  # seconds; some 6 on an idle machine
SERVICES = "10.96.0.0/16"


class NotStartedError(RuntimeError):
    """A program of the control plane ended or did not answer; the message has what it said last."""


@dataclass(frozen=True)
class ControlPlane:
    """How the API server is reached, by a user who may do everything."""

    url: str
    authority: Path  # PEM, of the certificate that the server shows
    token: str
    kubeconfig: Path
    signing_key: Path  # of service accounts' tokens
    processes: tuple[GuardedProcess, ...]


@contextmanager
def control_plane(etcd: Path, apiserver: Path, folder: Path) -> Generator[ControlPlane]:
    """Etcd and the API server, started in an empty folder; they end with this process, however it ends.

    Raises NotStartedError.
    """
    store_port, peer_port, port = _free_ports(3)
    store = f"http://127.0.0.1:{store_port}"
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n", encoding="utf-8")
    signing_key, public = _key_pair(folder)
    url, authority = f"https://127.0.0.1:{port}", folder / "certificates" / "apiserver.crt"
    config = kubeconfig(folder / "kubeconfig", url, authority, token)
    with (
        _running(
            etcd,
            folder,
            data_dir=folder / "etcd",
            listen_client_urls=store,
            advertise_client_urls=store,
            listen_peer_urls=f"http://127.0.0.1:{peer_port}",
        ) as first,
        _running(
            apiserver,
            folder,
            etcd_servers=store,
            bind_address="127.0.0.1",
            advertise_address="127.0.0.1",
            secure_port=port,
            cert_dir=authority.parent,
            token_auth_file=folder / "tokens.csv",
            authorization_mode="RBAC",
            service_account_issuer="https://kubernetes.default.svc",
            service_account_signing_key_file=signing_key,
            service_account_key_file=public,
            service_cluster_ip_range=SERVICES,
            endpoint_reconciler_type="none",
            allow_privileged="true",
        ) as second,
    ):
        _await_ready(first, second, url, authority, token)
        yield ControlPlane(url, authority, token, config, signing_key, (first, second))


@contextmanager
def controller_manager(program: Path, plane: ControlPlane, folder: Path) -> Generator[GuardedProcess]:
    """Kubernetes' own controllers: those that make a Deployment's pods, say."""
    with _running(
        program,
        folder,
        kubeconfig=plane.kubeconfig,
        bind_address="127.0.0.1",
        secure_port=0,
        leader_elect="false",
        service_account_private_key_file=plane.signing_key,
    ) as process:
        yield process


@contextmanager
def _running(program: Path, folder: Path, **flags: str | int | Path) -> Generator[GuardedProcess]:
    argv = [str(program), *(f"--{flag.replace('_', '-')}={value}" for flag, value in flags.items())]
    process = GuardedProcess(argv, env={}, folder=folder, log=folder / f"{program.name}.log", grace=3.0)
    try:
        yield process
    finally:
        process.stop()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        found = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in found]


def _key_pair(folder: Path) -> tuple[Path, Path]:
    """What the API server signs the tokens of service accounts with, and how it knows them again."""
    made = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / "service-accounts.key", folder / "service-accounts.pub"
    private.touch(mode=0o600)
    private.write_bytes(
        made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    public.write_bytes(
        made.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return private, public


def kubeconfig(path: Path, url: str, authority: Path, token: str, namespace: str = "default") -> Path:
    """Of whoever has the token. namespace: where nothing else is said. JSON, which is YAML."""
    cluster = {"server": url, "certificate-authority": str(authority)}
    context = {"cluster": "test", "user": "admin", "namespace": namespace}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": context}],
        "current-context": "test",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _await_ready(
    etcd: GuardedProcess, apiserver: GuardedProcess, url: str, authority: Path, token: str
) -> None:
    """Raises NotStartedError."""
    deadline = time.monotonic() + START_LIMIT
    while not (_exists(authority) and _says_ready(url, authority, token)):
        for process in (etcd, apiserver):
            if process.exit_code() is not None:
                raise NotStartedError(f"{process.log.stem} {process.describe_end()}")
        if time.monotonic() > deadline:
            raise NotStartedError(f"not ready in {START_LIMIT:g} s: {apiserver.last_words()}")
        time.sleep(0.1)


def _exists(authority: Path) -> bool:
    """The API server makes its certificate when it starts, and writes it in one go after the key."""
    return authority.exists() and b"END CERTIFICATE" in authority.read_bytes()


def _says_ready(url: str, authority: Path, token: str) -> bool:
    try:
        with https(url, authority, token) as client:
            return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False
