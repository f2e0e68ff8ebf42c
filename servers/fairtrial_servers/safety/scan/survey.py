"""Goes through a model, a file or a folder, and through all that is packed in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fairtrial_servers.errors import ModelError
from fairtrial_servers.safety.scan import loading, onnx_models
from fairtrial_servers.safety.scan.content import Budget, Content, Role
from fairtrial_servers.safety.scan.findings import Damaged, Finding, Kind, TooMuch, Unreadable
from fairtrial_servers.safety.scan.kinds import checks_of
from fairtrial_servers.safety.scan.names import dangerous

#: Archives inside one another.
MAX_LAYERS = 12

Progress = Callable[[int, int], None]  # files examined, of how many


@dataclass
class Report:
    """What was found. Safe is what has no finding."""

    path: Path
    findings: list[Finding] = field(default_factory=list[Finding])
    allowed: list[Finding] = field(default_factory=list[Finding])  # what would be findings, but for `allow`
    files: int = 0  # examined, packed ones included
    size: int = 0  # their bytes

    @property
    def safe(self) -> bool:
        return not self.findings

    @property
    def damaged(self) -> bool:
        """Nothing but broken: there is no telling what it would ask for."""
        return bool(self.findings) and all(found.kind is Kind.DAMAGED for found in self.findings)


def scan(path: Path, *, allow: Iterable[str] = (), progress: Progress | None = None) -> Report:
    """Examine the file, or every file in the folder, at `path`; nothing of it is loaded or run.

    allow: names that may be referred to, each a module (with all that is in it) or `module.name`.
    Raises ModelError when there is nothing there, or it cannot be read.
    """
    if not path.exists():
        raise ModelError(f"there is no model at {path}: neither a file nor a folder")
    report = Report(path)
    try:
        files = list(_files(path))
        if not files:
            raise ModelError(f"there is no file in {path}")
        raw = {each for file in files if file.suffix.lower() == ".onnx" for each in onnx_models.beside(file)}
        survey = _Survey(report, frozenset(allow))
        for number, file in enumerate(files):
            if progress:
                progress(number, len(files))
            name = file.name if path.is_file() else str(file.relative_to(path))
            survey.file(file, name, Role.RAW if file.resolve() in raw else Role.ANY)
        if progress:
            progress(len(files), len(files))
    except TooMuch:
        pass  # reported, and the scan ends there
    except OSError as error:
        what = error.strerror or str(error)
        raise ModelError(f"{error.filename or path} cannot be read or unpacked: {what}") from error
    return report


def _files(path: Path) -> Iterator[Path]:
    """All files, links followed; a folder that is met twice is gone through once."""
    if not path.is_dir():
        yield path
        return
    waiting, seen = [path], set[Path]()
    while waiting:
        folder = waiting.pop()
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        entries = sorted(folder.iterdir())
        yield from (entry for entry in entries if not entry.is_dir())
        waiting.extend(entry for entry in reversed(entries) if entry.is_dir())


class _Survey:
    def __init__(self, report: Report, allow: frozenset[str]) -> None:
        self._report = report
        self._allow = allow
        self._budget = Budget()

    def file(self, path: Path, name: str, role: Role) -> None:
        if not path.is_file():  # a pipe would be waited for
            what = "is a link to nothing" if path.is_symlink() else "is no file, but a pipe or a device"
            self._note(Finding((name,), Kind.UNKNOWN, what, ""))
            return
        with path.open("rb") as stream:
            content = Content((name,), stream, path.stat().st_size, self._budget, path, role)
            found = len(self._report.findings)
            self.examine(content)
            if found == len(self._report.findings):  # once is enough
                for objection in loading.objections(content):
                    self._note(objection)

    def examine(self, content: Content) -> None:
        self._report.files += 1
        self._report.size += content.size
        try:
            self._examine(content)
        except TooMuch as error:
            if error.args:  # told once, where it was met
                self._note(Finding(content.trail, Kind.UNSAFE, str(error), ""))
            raise TooMuch from None
        except Damaged as error:
            self._note(content.damaged(str(error)))
        except (Unreadable, MemoryError, RecursionError) as error:
            self._note(content.unknown(str(error) or "it does not fit in memory"))

    def _examine(self, content: Content) -> None:
        if content.layers > MAX_LAYERS:
            raise TooMuch("is packed in more layers than are examined")
        for check in checks_of(content):
            for found in check(content):
                if isinstance(found, Content):
                    self.examine(found)
                else:
                    self._note(found)

    def _note(self, found: Finding) -> None:
        known = self._report.allowed if self._allows(found) else self._report.findings
        if found not in known:
            known.append(found)

    def _allows(self, found: Finding) -> bool:
        """Whether a name was allowed: itself, or its module unless it is known to be dangerous."""
        if found.name is None or found.name in self._allow:
            return found.name is not None
        module, name = found.module, found.name.removeprefix(f"{found.module}.")
        within = any(module == each or module.startswith(f"{each}.") for each in self._allow)
        # A dotted name walks through attributes, out of the module.
        return bool(module) and within and name.isidentifier() and not dangerous(module, name)
