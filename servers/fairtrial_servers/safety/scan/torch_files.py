"""Files of torch: its form of before the zip, the source of TorchScript, the graphs of torch.export."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fairtrial_servers.safety.scan.content import Content, Role, Yielded
from fairtrial_servers.safety.scan.findings import Damaged, Unreadable
from fairtrial_servers.safety.scan.inert import Seen
from fairtrial_servers.safety.scan.pickles import objections, read_one

#: The number that the form of before the zip begins with, pickled by protocol 2.
LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_ITEM = {"Double": 8, "Long": 8, "ComplexFloat": 8, "ComplexDouble": 16, "Float": 4, "Int": 4, "QInt32": 4,
         "Half": 2, "BFloat16": 2, "Short": 2}  # fmt: skip
_SOURCE = 64 << 20
_FILES = re.compile(rb"\b(?:torch|aten|ops\.aten)\s*\.\s*(from_file|save|load|_load\w*)\s*\(")
_TARGETS = re.compile(
    r"torch\.ops\.[\w.]+|torch\.sym_\w+|math\.\w+|_operator\.\w+|torch\._higher_order_ops\.[\w.]+"
)
_NEVER = frozenset({"from_file", "save", "attrgetter", "methodcaller", "call"})


def check_legacy(content: Content) -> Yielded:
    """Magic number, version, system, objects, keys of the tensors: pickles, and then the tensors' bytes."""
    content = Content(content.trail, content.stream, content.size, content.budget, None, Role.TORCH)
    stream, seen = content.stream, Seen()
    stream.seek(0)
    reason = None
    try:
        for _ in range(5):
            read_one(content, seen)
    except Damaged as error:
        reason = content.damaged(str(error))
    yield from objections(content, seen)
    if reason is not None:
        yield reason
    elif (size := sum(_sizes(seen.persistent))) != content.size - stream.tell():
        yield content.unknown(f"it should end with {size:,} bytes of tensors")


def _sizes(persistent: list[Any]) -> Iterator[int]:
    """Bytes of each tensor's storage: a count of 8 bytes, and its elements."""
    sizes: dict[Any, int] = {}
    for said in persistent:
        match said:
            case ("storage", kind, str(key), str(), int(count), *_) if hasattr(kind, "name"):
                sizes[key] = 8 + count * _ITEM.get(kind.name[1].removesuffix("Storage"), 1)
            case _:
                raise Unreadable("it keeps its tensors in a way that torch does not")
    yield from sizes.values()


def check_source(content: Content) -> Yielded:
    """TorchScript's own source: an interpreter that knows tensors only, but for a few operators."""
    for operator in sorted({found[1].decode() for found in _FILES.finditer(content.whole(_SOURCE))}):
        yield content.unsafe(f"calls torch.{operator}", "which reads or writes files", f"torch.{operator}")


def check_graph(content: Content, document: dict[str, Any]) -> Yielded:
    """The JSON of torch.export: functions are looked up by name when it is read."""
    waiting: list[Any] = [document]
    refused: set[str] = set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            target = value.get("target")
            if isinstance(target, str) and "inputs" in value and not _is_operator(target):
                refused.add(target)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    for target in sorted(refused):
        yield content.unsafe(f"calls {target}", "which is no operator on tensors", target)


def _is_operator(target: str) -> bool:
    target = target.removeprefix("#")
    return bool(_TARGETS.fullmatch(target)) and _NEVER.isdisjoint(target.split("."))
