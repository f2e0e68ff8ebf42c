"""A unified diff: in colour on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

_STYLES = {"---": "bold", "+++": "bold", "@@": "cyan", "-": "red", "+": "green"}  # the first that fits


def print_diff(lines: Sequence[str]) -> None:
    """On stdout."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        style = next((style for start, style in _STYLES.items() if line.startswith(start)), "")
        console.print(Text(f"  {line}", style=style))
