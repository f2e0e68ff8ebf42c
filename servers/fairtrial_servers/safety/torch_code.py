"""The code inside TorchScript archives, checked before PyTorch compiles it.

TorchScript has no way out of its interpreter, but for operators: a few read or write files, and whole
namespaces serve other purposes than a model's. Loading alone can run code (`__setstate__`): it is read here.
"""

from __future__ import annotations

import ast

from fairtrial_servers.errors import ModelError, UnsafeModelError

#: Of operators that the code of a model calls as `ops.NAMESPACE.name`.
NAMESPACES = frozenset({"aten", "prim", "prims", "quantized", "_quantized", "quantization", "mkldnn",
                        "quantized_decomposed", "mkldnn_prepacked", "onednn", "prepacked", "sparse", "onnx",
                        "torchvision", "torchaudio", "higher_order", "export"})  # fmt: skip
#: Operators that touch files. Any operator can also be called as a method, so the name alone decides.
FILES = frozenset({"save", "from_file", "load", "load_tensor"})
_CLASSES = frozenset({"quantized", "rnn", "sparse", "xnnpack"})


def check_code(source: bytes, where: str) -> None:
    """Raises ModelError for code that cannot be read, UnsafeModelError for operators that no model needs."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ModelError(f"{where} is damaged, or not TorchScript: {str(error).splitlines()[0]}") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            if not (isinstance(node, ast.ImportFrom) and node.module == "__torch__"):
                _check_import(node, where)
        elif isinstance(node, ast.Attribute):
            if node.attr in FILES:
                raise UnsafeModelError(f"{where} uses the operator {node.attr}, which reads or writes files")
            _check_chain(_chain(node), where)


def _check_import(node: ast.Import | ast.ImportFrom, where: str) -> None:
    names = [alias.name for alias in node.names]
    if not all(name.startswith("__torch__") for name in names):
        raise UnsafeModelError(f"{where} imports {', '.join(names)}, which TorchScript does not do")


def _check_chain(chain: list[str], where: str) -> None:
    if chain[:1] == ["ops"] and len(chain) >= 2 and chain[1] not in NAMESPACES:
        raise UnsafeModelError(f"{where} uses operators of {chain[1]}, which no model needs: not loaded")
    if chain[:3] == ["__torch__", "torch", "classes"] and len(chain) >= 4 and chain[3] not in _CLASSES:
        raise UnsafeModelError(f"{where} uses {'.'.join(chain)}, which no model needs: not loaded")


def _chain(node: ast.expr) -> list[str]:
    """The names of a.b.c; none where it does not begin with a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []
