"""Where pipelines keep what they know, and how one is found by whoever asks."""

from __future__ import annotations

from pathlib import Path

from fairtrial.errors import UsageError

FOLDER = "deliveries"


def folder_of(pipeline_file_folder: Path, name: str, said: Path | None) -> Path:
    """A pipeline's own folder: below `deliveries` beside its file, or below the one that was said."""
    return (said or pipeline_file_folder / FOLDER).absolute() / name


def known_folders(cwd: Path) -> list[Path]:
    """Folders of pipelines in ./deliveries and ./*/deliveries, by name."""
    found = {
        file.parent
        for pattern in (f"{FOLDER}/*/delivery.db", f"*/{FOLDER}/*/delivery.db")
        for file in cwd.glob(pattern)
    }
    return sorted(found)


def find_folder(which: str | None, cwd: Path) -> Path:
    """The pipeline meant by a folder, by its name, or by nothing where there is only one.

    Raises UsageError that lists what is there.
    """
    if which and (Path(which) / "delivery.db").is_file():
        return Path(which).absolute()
    known = known_folders(cwd)
    found = [folder for folder in known if which is None or folder.name == which]
    if len(found) == 1:
        return found[0]
    there = ", ".join(str(folder.relative_to(cwd)) for folder in known) or "none here"
    if which is None and not known:
        raise UsageError(
            f"no pipeline has been watched in {cwd}: start `fairtrial watch`, or go to the folder of its file"
        )
    asked = "several pipelines" if found else f"no pipeline {which!r}"
    raise UsageError(f"{asked}: name the pipeline, or its folder (known: {there})")
