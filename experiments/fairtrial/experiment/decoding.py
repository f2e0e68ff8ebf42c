"""From bytes to text that can be YAML, or to the place of the first byte that cannot."""

from __future__ import annotations

import re

from fairtrial.experiment.yaml_tree import Flaw, Position, position_after

_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def decode(raw: bytes) -> str | Flaw:
    """UTF-8 (a byte order mark is skipped) without control characters."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Flaw(Position(1, 1), "not UTF-8 but UTF-16; save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", errors="replace")
        return Flaw(position_after(before), f"not UTF-8: byte 0x{raw[error.start]:02x}; is it a text file?")
    if bad := _NOT_YAML.search(text):
        return Flaw(
            position_after(text[: bad.start()]),
            f"the control character U+{ord(bad[0]):04X} cannot be in YAML; is it a text file?",
        )
    return text
