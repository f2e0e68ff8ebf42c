"""The pickles inside PyTorch archives: which names they may refer to.

They are read by opcode and never run. PyTorch writes protocol 2, where a name stands in the opcode itself;
the opcodes that put a name together on the stack are refused, for no honest file has them.
"""

from __future__ import annotations

import pickletools
import re

from fairtrial_servers.errors import ModelError, UnsafeModelError

_STORAGE = re.compile(r"torch (?:[A-Za-z0-9]+Storage|storage\.UntypedStorage)")
_DTYPE = re.compile(
    r"torch (?:float16|float32|float64|bfloat16|complex64|complex128|bool|u?int(?:8|16|32|64)"
    r"|q?u?int(?:8|32)|float8_[a-z0-9]+|per_(?:tensor|channel)_(?:affine|symmetric)(?:_float_qparams)?"
    r"|strided|contiguous_format|channels_last|preserve_format|device|Size)"
)
_BUILDERS = frozenset(
    [
        "collections OrderedDict",
        "torch.storage UntypedStorage",
        "torch.serialization _get_layout",
        *(f"torch._utils {name}" for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3",
          "_rebuild_parameter", "_rebuild_qtensor", "_rebuild_sparse_tensor")),
        "torch._tensor _rebuild_from_type_v2",
        "torch Tensor",
        "torch.nn.parameter Parameter",
        *(f"torch.jit._pickle {name}" for name in ("build_intlist", "build_tensorlist", "build_doublelist",
          "build_boollist", "build_tensor_from_id", "restore_type_tag")),
    ]
)  # fmt: skip
#: Classes that TorchScript wrote itself, and those of its own C++ that hold quantised weights.
_SCRIPT = re.compile(
    r"__torch__(?:\.(?!torch\.classes\b)\w+|\.torch\.classes\.(?:quantized|rnn|sparse|xnnpack)\b)*"
)
_REFUSED = frozenset({"STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4"})


def names_in(data: bytes, where: str) -> set[str]:
    """The names that a pickle refers to, as "module name". Raises ModelError, UnsafeModelError."""
    names: set[str] = set()
    refused: str | None = None
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "GLOBAL":
                names.add(str(argument))
            elif opcode.name in _REFUSED:
                refused = opcode.name
                break
    except Exception as error:  # a damaged pickle can fail in any way at all
        raise ModelError(f"{where} is damaged, or not a pickle: {str(error).splitlines()[0]}") from error
    if refused:
        raise UnsafeModelError(f"{where} has the opcode {refused}, which PyTorch does not write")
    return names


def builds_tensors_only(name: str) -> bool:
    """Whether "module name" is one of those that tensors and containers of them are written with."""
    return name in _BUILDERS or bool(_STORAGE.fullmatch(name) or _DTYPE.fullmatch(name))


def check_pickle(data: bytes, where: str, *, script: bool = False) -> None:
    """Raises UnsafeModelError, which names it, for a name that no model needs.

    script: classes of TorchScript are admitted, as its archives hold them.
    """
    for name in sorted(names_in(data, where)):
        if builds_tensors_only(name):
            continue
        if script and _SCRIPT.fullmatch(name.replace(" ", ".")):
            continue
        raise UnsafeModelError(
            f"{where} refers to {name.replace(' ', '.')}, which no model needs: not loaded"
        )
