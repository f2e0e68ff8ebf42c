"""The programs of a control plane: etcd, kube-apiserver and kube-controller-manager.

They are taken from the folder that KUBEBUILDER_ASSETS names, as envtest does. What it lacks is taken from
PATH (etcd) or built once from the Go module in `binaries`, and kept in the user's cache folder: no package
registry ships these programs.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

BINARIES = Path(__file__).with_name("binaries")
BUILT = ("kube-apiserver", "kube-controller-manager")
TOLD_EVERY = 15.0  # seconds

Say = Callable[[str], None]


class MissingError(Exception):
    """Something that the tests need is not on this machine; the message says what, and how to get it."""


class BuildError(Exception):
    """A program could not be built; the message has what the compiler said last."""


def etcd() -> Path:
    """Raises MissingError."""
    found = _asset("etcd") or shutil.which("etcd")
    if found is None:
        raise MissingError("there is no etcd: install Debian's etcd-server, or set KUBEBUILDER_ASSETS")
    return Path(found)


def kubernetes(name: str, say: Say, module: Path = BINARIES) -> Path:
    """A program of Kubernetes, built if need be: that takes minutes, and `say` is told how far it is.

    Of several processes that ask at once, the first builds and the others wait for it.
    Raises MissingError, BuildError.
    """
    folder = cache() / f"{module.name}-{_digest(module)}"
    found = _asset(name) or folder / name
    if found.exists():
        return found
    go = shutil.which("go")
    if go is None:
        raise MissingError(f"there is no Go to build {name} with: install it, or set KUBEBUILDER_ASSETS")
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / "lock", say):
        for left in folder.glob("tmp*"):  # by a build that was killed
            shutil.rmtree(left)
        if not found.exists():
            _build(go, module, found, say)
    return found


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fairtrial" / "test-cluster"


def version(module: Path = BINARIES) -> str:
    """The version of Kubernetes that the module pins, as in v1.34.4."""
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)", (module / "go.mod").read_text(encoding="utf-8"), re.M)
    assert found, "the module requires k8s.io/kubernetes"
    return found[1]


def _asset(name: str) -> Path | None:
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    return Path(folder) / name if folder and (Path(folder) / name).exists() else None


def _digest(module: Path) -> str:
    content = b"".join((module / name).read_bytes() for name in ("go.mod", "go.sum"))
    return hashlib.sha256(content).hexdigest()[:12]


@contextlib.contextmanager
def _locked(path: Path, say: Say) -> Generator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another process that builds the control plane")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(go: str, module: Path, target: Path, say: Say) -> None:
    # The API server tells clients its version, and behaves as that version's.
    pinned = version(module)
    major, minor = pinned.removeprefix("v").split(".")[:2]
    variable = "-X k8s.io/component-base/version"
    flags = f"-s -w {variable}.gitVersion={pinned} {variable}.gitMajor={major} {variable}.gitMinor={minor}"
    with tempfile.TemporaryDirectory(dir=target.parent) as place:
        made = Path(place) / target.name
        command = [go, "build", "-v", "-mod=readonly", "-trimpath", f"-ldflags={flags}", f"-o={made}"]
        what = f"building {target.name} {pinned}"
        _run([*command, f"k8s.io/kubernetes/cmd/{target.name}"], module, what, say)
        made.replace(target)


def _run(command: list[str], module: Path, what: str, say: Say) -> None:
    """Raises BuildError."""
    begun = time.monotonic()
    say(f"{what}, once: this takes minutes")
    with subprocess.Popen(
        command,
        cwd=module,
        env={**os.environ, "CGO_ENABLED": "0"},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        lines: list[str] = []
        assert process.stderr is not None
        reader = threading.Thread(target=lines.extend, args=(process.stderr,))
        reader.start()
        try:
            while True:
                reader.join(TOLD_EVERY)
                if not reader.is_alive():
                    break
                say(f"{what}: {len(lines)} packages after {time.monotonic() - begun:.0f} s")
        except BaseException:
            process.kill()
            raise
        finally:
            reader.join()
    if process.returncode:
        raise BuildError(f"{what} failed: {' / '.join(line.strip() for line in lines[-5:])}")
    say(f"{what} took {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    for each in BUILT:
        print(kubernetes(each, lambda line: print(line, flush=True)))
