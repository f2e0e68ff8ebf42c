"""The JARs that a model format runs on: pinned, fetched once from Maven Central, and verified at each use.

`<library>.sha256` in this folder lists them: the SHA-256 of each and its Maven coordinates. A JAR is fetched
under another name, and gets its own once its checksum is right, so that a file which is there is whole; what
changed since is fetched again. Any number of processes may do so at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TextIO

from fairtrial_servers.errors import ServerError

#: The folder with the JARs; default `fairtrial/jars` in the user's cache.
FOLDER = "FAIRTRIAL_JARS"
#: Set, and nothing is fetched.
OFFLINE = "FAIRTRIAL_OFFLINE"
#: A Maven repository to fetch from instead of Maven Central, as https://host/path.
REPOSITORY = "FAIRTRIAL_MAVEN_REPOSITORY"


@dataclass(frozen=True)
class Jar:
    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def listed(library: str) -> tuple[Jar, ...]:
    """What `library` ("mleap") needs. Raises ServerError for one that is not known."""
    known = resources.files("fairtrial_servers.jvm").joinpath(f"{library}.sha256")
    if not library.isidentifier() or not known.is_file():
        raise ServerError(f"there is no list of JARs for {library!r}")
    jars: list[Jar] = []
    for line in known.read_text(encoding="utf-8").splitlines():
        digest, coordinates = line.split()
        group, artifact, version = coordinates.split(":")
        jars.append(Jar(group, artifact, version, digest))
    return tuple(jars)


def folder() -> Path:
    said = os.environ.get(FOLDER)
    if said:
        return Path(said).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "fairtrial" / "jars"


def provide(library: str) -> list[Path]:
    """The JARs of `library` as files whose checksums are right, fetched where they are not there yet.

    Raises ServerError when one cannot be had, or may not be fetched.
    """
    jars = listed(library)
    home = folder()
    if _lacking(jars, home):
        try:
            home.mkdir(parents=True, exist_ok=True)
            with _alone(home):
                lacking = _lacking(jars, home)  # another process may have fetched them meanwhile
                if lacking:
                    _fetch(lacking, home, library)
        except OSError as error:
            raise ServerError(f"cannot keep the JARs of {library} in {home}: {error.strerror}") from error
    return [home / jar.file for jar in jars]


def copy(library: str, target: Path) -> list[Path]:
    """Copy the JARs of `library` to the folder `target`, for an image that has them inside.

    Raises ServerError as `provide` does, and where `target` cannot be written to.
    """
    copies: list[Path] = []
    for file in provide(library):
        try:
            target.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=target, prefix=".", delete=False) as temporary:
                temporary.write(file.read_bytes())
                os.fchmod(temporary.fileno(), 0o644)
            Path(temporary.name).replace(target / file.name)
        except OSError as error:
            raise ServerError(f"cannot copy {file.name} to {target}: {error.strerror}") from error
        copies.append(target / file.name)
    return copies


def _lacking(jars: Sequence[Jar], home: Path) -> list[Jar]:
    return [jar for jar in jars if not _is_right(home / jar.file, jar)]


def _is_right(file: Path, jar: Jar) -> bool:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ServerError(f"cannot read {file}: {error.strerror}") from error


@contextlib.contextmanager
def _alone(home: Path) -> Generator[None]:
    """While it lasts no other process fetches into `home`; the kernel ends it with the process."""
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(lacking: Sequence[Jar], home: Path, library: str) -> None:
    if os.environ.get(OFFLINE):
        raise ServerError(
            f"{len(lacking)} JARs of {library} are not in {home} ({lacking[0].file}, ...), and {OFFLINE} "
            f"forbids fetching them: run `python -m fairtrial_servers.jvm copy {library} FOLDER` where there "
            f"is a network, and set {FOLDER} to the copy"
        )
    maven_of_jgo: Any = importlib.import_module("jgo.maven")
    failures = (importlib.import_module("requests").RequestException, RuntimeError)

    source = os.environ.get(REPOSITORY)
    with tempfile.TemporaryDirectory(dir=home, prefix=".fetching-") as temporary:
        maven = maven_of_jgo.MavenContext(
            repo_cache=Path(temporary), remote_repos={"chosen": source.rstrip("/")} if source else None
        )
        progress = _Progress(f"fetching the JARs of {library} to {home}, once", len(lacking), sys.stderr)
        for jar in lacking:
            progress.step()
            try:
                fetched = maven.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
            except failures as error:
                progress.end()
                where = source or "Maven Central"
                raise ServerError(
                    f"cannot fetch {jar} from {where} ({type(error).__name__}): check the network, "
                    f"name another repository in {REPOSITORY}, or set {FOLDER} to a folder with the JARs"
                ) from error
            if not _is_right(fetched, jar):
                progress.end()
                raise ServerError(
                    f"{jar} was fetched, and is not what it was: its SHA-256 is not {jar.sha256}; "
                    f"fetch it again, and if that does not help do not use its source"
                )
            with fetched.open("rb") as written:
                os.fsync(written.fileno())
            fetched.replace(home / jar.file)
        progress.end()


class _Progress:
    """One line: rewritten in a terminal, and written at the start only where lines are kept."""

    def __init__(self, what: str, total: int, out: TextIO) -> None:
        self._what, self._total, self._out = what, total, out
        self._done = 0
        self._live = out.isatty()
        if not self._live:
            print(f"{what}: {total} files", file=out, flush=True)

    def step(self) -> None:
        self._done += 1
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            line = f"{self._what}: {self._done}/{self._total}"
            print(f"\r{line[:width]:<{width}}", end="", file=self._out, flush=True)

    def end(self) -> None:
        if self._live:
            print(file=self._out, flush=True)
