"""What a load has to tell while it goes on: sentences in a file, which the controller reads as they come."""

from __future__ import annotations

from pathlib import Path


def beside(plan: Path) -> Path:
    """Where the load of a plan in this file tells."""
    return plan.with_name("load-incidents.txt")


def tell(file: Path, sentence: str) -> None:
    """Add a sentence. Raises OSError if the disk takes no more."""
    with file.open("a", encoding="utf-8") as lines:
        lines.write(f"{sentence}\n")


def told(file: Path, seen: int) -> list[str]:
    """The sentences after the first `seen`; one that is half written is not there yet."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.split("\n")[:-1][seen:]
