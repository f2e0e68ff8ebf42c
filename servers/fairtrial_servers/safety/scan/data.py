"""Files that are data and nothing else, told by what they begin with."""

from __future__ import annotations

import json
import re

from fairtrial_servers.safety.scan.content import Content, Yielded

_NATIVE = {
    b"\x7fELF": "a native program or library",
    b"MZ": "a native program or library",
    b"\xcf\xfa\xed\xfe": "a native program or library",
    b"\xce\xfa\xed\xfe": "a native program or library",
    b"\xca\xfe\xba\xbe": "a Java class or a native library",
    b"\x00asm": "a WebAssembly program",
    b"dex\n": "an Android program",
}
_COMPILED = (".pyc", ".pyo", ".pyd", ".so", ".dll", ".dylib", ".exe", ".class", ".elc")
_PLAIN = (
    b"PAR1",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF8",
    b"%PDF-",
    b"ARROW1",
    b"RIFF",
    b"OggS",
    b"binf",
)
_CHECKPOINT = re.compile(r"[\w.-]+\.data-\d{5}-of-\d{5}")
_TABLE = 0xDB4775248B80FB57.to_bytes(8, "little")  # how an index of TensorFlow's ends
#: How XGBoost's own binary form begins: an object, and the length of its first key.
_UBJSON = re.compile(rb"\{L\0{7}.(learner|version)", re.DOTALL)


def is_code(content: Content) -> str | None:
    """What kind of program a file is, if it is one."""
    if content.suffix in _COMPILED:
        return "compiled code"
    return next((kind for magic, kind in _NATIVE.items() if content.head(4).startswith(magic)), None)


def check_code(content: Content) -> Yielded:
    yield content.unsafe(f"is {is_code(content)}", "and a model is data", content.name)


def is_data(content: Content) -> bool:
    """Whether the file is of a kind that is read as values only."""
    head = content.head(32)
    if head.startswith(_PLAIN):
        return True
    if _UBJSON.match(head):
        return True
    if content.suffix == ".index":
        return content.size > 48 and content.head(8, content.size - 8) == _TABLE
    if _CHECKPOINT.fullmatch(content.name.rpartition("/")[2]):
        return True
    return is_safetensors(content) or content.suffix in (".csv", ".tsv")


def is_safetensors(content: Content) -> bool:
    size = int.from_bytes(content.head(8), "little")
    if not (2 <= size <= min(content.size - 8, 100 << 20)) or content.head(1, 8) != b"{":
        return False
    try:
        return isinstance(json.loads(content.head(size, 8)), dict)
    except (ValueError, RecursionError):
        return False
