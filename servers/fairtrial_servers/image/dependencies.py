"""The Python packages of an image: pinned to what runs here, installed for where the image will run."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from fairtrial_servers.errors import ServerError
from fairtrial_servers.image.platforms import Platform

_OURS = "fairtrial-servers"
_LIMIT = 3600  # seconds for downloads
_LOGIN = re.compile(r"://[^/@\s]+@")  # in the address of an index


def requirements(extras: Sequence[str], target: Platform, python: str) -> list[str]:
    """What fairtrial-servers itself needs with these extras on the target."""
    environment = {
        "os_name": "posix",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": target.machine,
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    found: list[str] = []
    for line in metadata.requires(_OURS) or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras)):
            requirement.marker = None
            found.append(str(requirement))
    return sorted(found)


def has_extra(name: str) -> bool:
    return name in (metadata.metadata(_OURS).get_all("Provides-Extra") or [])


def lock(wanted: Sequence[str], target: Platform, python: str, folder: Path) -> str:
    """Every package with its version and the hashes of its files, one requirement a line.

    Versions are those that are installed here, so that the image holds what the model was tried with; what is
    needed on the target only is the newest that fits. Raises ServerError.
    """
    given, installed, out = folder / "wanted.in", folder / "installed.txt", folder / "lock.txt"
    given.write_text("\n".join(sorted(wanted)) + "\n", encoding="utf-8")
    installed.write_text("\n".join(pins()) + "\n", encoding="utf-8")
    _uv(
        "pip", "compile", str(given), "--constraints", str(installed), "--output-file", str(out),
        "--generate-hashes", "--no-annotate", "--no-header", "--no-emit-index-url", *_for(target, python),
        doing="find the packages that the model needs",
    )  # fmt: skip
    return out.read_text(encoding="utf-8")


def install(locked: str, target: Platform, python: str, into: Path, folder: Path) -> None:
    """Install what is locked, from wheels only, and nothing else. Raises ServerError."""
    if all(not line.strip() or line.startswith("#") for line in locked.splitlines()):
        into.mkdir()
        return
    file = folder / "requirements.txt"
    file.write_text(locked, encoding="utf-8")
    hashes = ["--require-hashes"] if "--hash=" in locked else []
    _uv(
        "pip", "install", "--target", str(into), "--requirements", str(file), "--no-deps",
        "--link-mode", "copy",
        "--no-compile-bytecode", *hashes, *_for(target, python),
        doing="install the packages that the model needs",
    )  # fmt: skip


def check_requirement(text: str) -> str:
    """Raises ServerError for what is no requirement."""
    try:
        return str(Requirement(text))
    except InvalidRequirement:
        raise ServerError(
            f"{text!r} is no requirement: expected a name as in mlserver-sklearn==1.7.1"
        ) from None


def _for(target: Platform, python: str) -> tuple[str, ...]:
    return ("--python-platform", target.wheels, "--python-version", python, "--only-binary", ":all:")


def pins() -> list[str]:
    """Every package that is installed here, with its version."""
    found = {
        canonicalize_name(each.name): each.version
        for each in metadata.distributions()
        if each.name and "fairtrial" not in canonicalize_name(each.name)
    }
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def _uv(*arguments: str, doing: str) -> None:
    try:
        ended = subprocess.run(
            [_find_uv(), *arguments, "--quiet"],
            capture_output=True, text=True, errors="replace", timeout=_LIMIT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ServerError(f"cannot {doing}: uv took longer than {_LIMIT} s") from None
    if ended.returncode != 0:
        lines = [
            line.strip(" ×╰─▶│├") for line in ended.stderr.splitlines() if not line.startswith("warning")
        ]
        told = _LOGIN.sub("://", " ".join(line for line in lines if line))
        reason = told[:600] or f"uv ended with {ended.returncode}"
        raise ServerError(f"cannot {doing}: {reason}")


def _find_uv() -> str:
    try:
        return importlib.import_module("uv").find_uv_bin()
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise ServerError('packing needs uv, which is not installed: pip install "fairtrial-servers[image]"')
    return found
