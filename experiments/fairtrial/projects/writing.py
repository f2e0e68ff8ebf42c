"""Writing an example project into a folder of the user's."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from fairtrial.errors import UsageError
from fairtrial.experiment.schema_file import SCHEMA_NAME, schema_file_text

DEFAULT_PROJECT = "better"

#: By name, with what each shows.
PROJECTS = {
    "better": "a candidate that is really better: PROMOTE",
    "worse": "a candidate that is worse: ROLLBACK on the objective",
    "slower": "as good, but slower at p99: ROLLBACK on the guardrail",
    "same": "the same model twice: INCONCLUSIVE, never PROMOTE",
}


def write_project(name: str, folder: Path) -> list[Path]:
    """Write the project `name` into `folder`, made where missing; returns the files written.

    Raises UsageError, with nothing written, for an unknown name, when a file is there already or when
    the folder cannot be written to.
    """
    files = _files(name)
    there = [str(folder / file) for file in files if (folder / file).exists()]
    if there:
        raise UsageError(
            f"{', '.join(there)} {'are' if len(there) > 1 else 'is'} there already and would be overwritten; "
            "name another folder, as in `fairtrial init my-trial`"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}") from None
    return [folder / file for file in files]


def _files(name: str) -> dict[str, str]:
    if name not in PROJECTS:
        raise UsageError(f'there is no example "{name}"; there are {", ".join(PROJECTS)}')
    files: dict[str, str] = {}
    for layer in (DEFAULT_PROJECT, name):
        for template in resources.files("fairtrial.projects").joinpath(layer).iterdir():
            if template.is_file():
                files[template.name] = template.read_text(encoding="utf-8")
    return dict(sorted(files.items())) | {SCHEMA_NAME: schema_file_text()}
