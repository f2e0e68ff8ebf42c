"""ONNX models: tensors kept in other files."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.safety.scan.content import Content, Yielded
from fairtrial_servers.safety.scan.packed import leaves

_LIMIT = (2 << 30) - 1  # of protocol buffers themselves


def check(content: Content) -> Yielded:
    if importlib.util.find_spec("onnx") is None:
        yield content.unknown('onnx is not installed: pip install "fairtrial-servers[onnx]"')
        return
    from fairtrial_servers.safety import onnx_files

    if content.path is not None:
        try:
            onnx_files.check_onnx(content.path)
        except UnsafeModelError as error:
            yield content.unsafe(_reason(error, content.path), "")
        except ModelError as error:
            yield content.damaged(_reason(error, content.path))
        return
    try:
        kept = list(onnx_files.kept_elsewhere(onnx_files.parse(content.whole(_LIMIT), content.name)))
    except ModelError as error:
        yield content.damaged(str(error))
        return
    for tensor, location in kept:
        if leaves(location):
            yield content.unsafe(
                f'would read {location!r} as its tensor "{tensor}"',
                "and a model reads nothing outside its folder",
            )


def beside(file: Path) -> set[Path]:
    """The files that hold tensors of the ONNX model in `file`: bytes that nothing interprets."""
    if importlib.util.find_spec("onnx") is None:
        return set()
    from fairtrial_servers.safety import onnx_files

    try:
        kept = onnx_files.kept_elsewhere(onnx_files.parse(file.read_bytes(), str(file)))
        return {
            (file.parent / location).resolve() for _, location in kept if location and "\0" not in location
        }
    except (ModelError, OSError):
        return set()  # said when the file itself is examined


def _reason(error: ModelError, path: Path) -> str:
    return str(error).removeprefix(str(path)).lstrip(": ")
