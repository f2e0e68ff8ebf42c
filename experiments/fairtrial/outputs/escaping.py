"""Others' text in Markdown: what a model's log or a name contains becomes no markup, link or mention."""

from __future__ import annotations

import re

from fairtrial.console.text import printable

_MARKUP = re.compile(r"[\\`*_{}\[\]<>|~$]")
#: What GitHub and GitLab make into mentions, issues, merge requests: `models:/wine@champion` is nobody.
_REFERENCE = re.compile(r"(?<![&\w])[@#!%](?=\w)|@")
_ADDRESS = re.compile(r"\b(https?|ftp)://|\bwww\.", re.IGNORECASE)
_CUT = "<!-- -->"


def markdown(text: str) -> str:
    """One line that shows as `text`, also within a table."""
    plain = _MARKUP.sub(lambda found: "\\" + found.group(), printable(text).replace("&", "&amp;"))
    plain = _REFERENCE.sub(lambda found: found.group() + _CUT, plain)
    plain = _ADDRESS.sub(lambda found: found.group()[:1] + _CUT + found.group()[1:], plain)
    # A line that begins like a heading or a list.
    return re.sub(r"^(\d*)([-+=#.)]+)(?=\s|$)", r"\1\\\2", plain)


def code(text: str) -> str:
    """`text` as code, whatever backticks it has."""
    plain = printable(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", plain)), default=0) + 1)
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def block(text: str) -> str:
    """Lines of code."""
    lines = "\n".join(printable(line) if line.strip() else "" for line in text.split("\n"))
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", lines)), default=0) + 1)
    return f"{fence}text\n{lines}\n{fence}"
