"""A real registry (Debian's docker-registry), small images, and a place for layers."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fairtrial_servers.image.pack import Request
from fairtrial_servers.image.packed import Packed
from fairtrial_servers.image.platforms import own_platform
from servers.image.base import write_base

CONFIG = """\
version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: {storage}}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@dataclass(frozen=True)
class Running:
    """A registry process."""

    address: str
    storage: Path

    def blob(self, digest: str) -> Path:
        hexadecimal = digest.removeprefix("sha256:")
        return self.storage / "docker/registry/v2/blobs/sha256" / hexadecimal[:2] / hexadecimal / "data"


@pytest.fixture(scope="session")
def run_registry(tmp_path_factory) -> Iterator[Callable[..., Running]]:
    """Start registries; each ends with the session."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed (Debian's package of that name)")
    begun: list[subprocess.Popen[bytes]] = []

    def run(more: str = "") -> Running:
        folder = tmp_path_factory.mktemp("registry")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        (folder / "config.yml").write_text(CONFIG.format(storage=folder / "storage", port=port) + more)
        with (folder / "log").open("wb") as log:
            begun.append(
                subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/v2/", timeout=5)
                return Running(f"127.0.0.1:{port}", folder / "storage")
            except httpx.TransportError:
                assert begun[-1].poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, "the registry does not answer"
                time.sleep(0.05)

    yield run
    for process in begun:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def registry(run_registry) -> Running:
    return run_registry()


@pytest.fixture
def no_login(tmp_path, monkeypatch) -> Path:
    """A folder for docker's config.json, empty."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


@pytest.fixture(scope="session")
def layers_cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("layers")


@pytest.fixture(scope="session")
def small_base(tmp_path_factory) -> Path:
    """A base that holds nothing and says that it has Python."""
    return write_base(
        tmp_path_factory.mktemp("small") / "base", [], own_platform(), ("PYTHON_VERSION=3.11.9",)
    )


@pytest.fixture(scope="session")
def no_packages(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("lock") / "lock.txt"
    file.write_text("# none: what is tested here needs no Python packages in the image\n")
    return file


@pytest.fixture
def pack_small(tmp_path, small_base, no_packages, layers_cache) -> Callable[..., Packed]:
    """Pack a model into an image of a few kilobytes."""
    from fairtrial_servers.image.pack import pack

    def made(model: Path, **more) -> Packed:
        request = Request(**{"model": model, "base": str(small_base), "lock": no_packages, **more})
        work = tmp_path / f"work-{len(list(tmp_path.iterdir()))}"
        return pack(request, work, cache=layers_cache)

    return made
