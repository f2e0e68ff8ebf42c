"""Text that is safe to show: what a model's log or a name contains must not steer the terminal."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """One line of `text`: line ends become spaces, other control characters U+FFFD."""
    return "".join(_shown(character) for character in text).strip()


def _shown(character: str) -> str:
    if character in "\n\r\t":
        return " "
    # Cf holds the marks that reorder text, which can make a line read as something else.
    return "\ufffd" if unicodedata.category(character) in {"Cc", "Cf", "Cs"} else character


def encodable(text: str, encoding: str | None) -> str:
    """`text` with what the stream cannot write replaced by question marks."""
    encoding = encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def clock_face(seconds: float) -> str:
    """0:07, 2:05, 1:00:00."""
    minutes, rest = divmod(max(int(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
