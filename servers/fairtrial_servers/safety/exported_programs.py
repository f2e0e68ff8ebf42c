"""The graph of an exported PyTorch program, as JSON, checked before PyTorch makes code of it.

PyTorch looks operators up by walking attributes from `torch` (`torch.hub.os.system` is one), evaluates the
expressions of symbolic sizes as Python, and writes names and guards into the source of a function that it
then runs. So a string in it is a plain name, or its kind is known and it is read as that kind.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.safety.torch_code import FILES, NAMESPACES

_NAME = re.compile(r"[\w.\-+:/*]*", re.ASCII)
_OPERATOR = re.compile(r"torch\.ops\.(\w+)\.(\w+)(?:\.\w+)?", re.ASCII)
#: Of those that take a part of the graph as an argument; others run kernels or objects that come along.
_HIGHER = frozenset({"cond", "while_loop", "map_impl", "scan", "associative_scan", "invoke_subgraph", "wrap",
                     "wrap_with_set_grad_enabled", "wrap_with_autocast", "auto_functionalized",
                     "auto_functionalized_v2", "flex_attention"})  # fmt: skip
#: Arithmetic on sizes.
_PLAIN_OPERATORS = re.compile(
    r"_operator\.(?:add|sub|mul|truediv|floordiv|mod|neg|pos|abs|pow|eq|ne|lt|le|gt|ge|and_|or_|not_|xor|"
    r"lshift|rshift|getitem|index|truth)"
    r"|math\.(?:ceil|floor|trunc|sqrt|log2?|exp|pow)|torch\.(?:sym_[a-z_]+|_sym_[a-z_]+)"
)
#: Values that PyTorch keeps as they are: constants of the graph, and what a stack trace said.
_FREE = frozenset({"as_string", "as_strings", "metadata", "torch_version", "verifiers"})
_EXPRESSIONS = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Name, ast.keyword,
                ast.Load, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)  # fmt: skip
#: What PyTorch writes sizes with (torch.utils._sympy.functions, and sympy's own arithmetic).
_SIZE_FUNCTIONS = frozenset(
    {"Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Max", "Min", "Mod", "Abs", "And", "Or",
     "Not", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Equality", "Unequality", "StrictLessThan", "LessThan",
     "StrictGreaterThan", "GreaterThan", "FloorDiv", "ModularIndexing", "Where", "PythonMod", "CleanDiv",
     "CeilToInt", "FloorToInt", "CeilDiv", "LShift", "RShift", "PowByNatural", "FloatPow", "FloatTrueDiv",
     "IntTrueDiv", "TruncToFloat", "TruncToInt", "RoundToInt", "RoundDecimal", "ToFloat", "Identity", "floor",
     "ceiling", "IsNonOverlappingAndDenseIndicator", "Piecewise", "ExprCondPair", "sqrt"}
)  # fmt: skip
_GUARD_METHODS = frozenset(
    {"size", "stride", "storage_offset", "dim", "numel", "isnan", "inf", "shape", "ndim"}
)


def read_json(data: bytes, where: str) -> Any:
    """Raises ModelError."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{where} is damaged, or not JSON: {str(error).splitlines()[0]}") from None


def check_program(data: bytes, where: str) -> None:
    """Raises ModelError for what is no program, UnsafeModelError for one that could run other code."""
    program = read_json(data, where)
    if not isinstance(program, dict) or "graph_module" not in program:
        raise ModelError(f"{where} is damaged, or no exported program: it has no graph_module")
    try:
        _check_value("", program, where)
    except RecursionError:
        raise UnsafeModelError(f"{where} is nested too deep to be checked: not loaded") from None


def _check_value(key: str, value: Any, where: str) -> None:
    if key in _FREE:
        return
    if key == "custom_obj_values" and value:
        raise UnsafeModelError(f"{where} holds objects that are no tensors: not loaded")
    if isinstance(value, dict):
        if "__enum__" in value:
            raise UnsafeModelError(f"{where} names a Python class to be imported: not loaded")
        for name, inner in cast("Mapping[str, Any]", value).items():
            _check_text("", name, where)
            _check_value(name, inner, where)
    elif isinstance(value, list):
        for inner in cast("Iterable[Any]", value):
            _check_value(key, inner, where)
    elif isinstance(value, str):
        _check_text(key, value, where)


def _check_text(key: str, text: str, where: str) -> None:
    if key == "target" and "." in text:
        _check_target(text, where)
    elif key == "expr_str":
        _check_size(text, where)
    elif key == "guards_code":
        _check_guard(text, where)
    elif key in ("in_spec", "out_spec", "context") and text[:1] in ("[", "{", '"'):
        _check_value("context", read_json(text.encode(), where), where)
    elif not _NAME.fullmatch(text):
        raise UnsafeModelError(f"{where} has {_short(text)} where a name belongs: not loaded")


def _check_target(text: str, where: str) -> None:
    found = _OPERATOR.fullmatch(text)
    if found:
        if found[1] == "higher_order":
            fits = found[2] in _HIGHER
        else:
            fits = found[1] in NAMESPACES and found[2] not in FILES
        if fits:
            return
    elif _PLAIN_OPERATORS.fullmatch(text) or not text.startswith(("torch", "_operator", "math", "#")):
        _check_text("", text, where)  # an attribute of the model
        return
    raise UnsafeModelError(f"{where} calls {_short(text)}, which no model needs: not loaded")


def _check_size(text: str, where: str) -> None:
    for node in _expression(text, where):
        if isinstance(node, ast.Call):
            fits = isinstance(node.func, ast.Name) and node.func.id in _SIZE_FUNCTIONS
        elif isinstance(node, ast.Constant):
            fits = not isinstance(node.value, str) or node.value.isidentifier()
        else:
            fits = isinstance(node, _EXPRESSIONS)
        if not fits:
            raise UnsafeModelError(f"{where} has {_short(text)} as a size: not loaded")


def _check_guard(text: str, where: str) -> None:
    for node in _expression(text, where):
        if isinstance(node, ast.Attribute):
            fits = node.attr in _GUARD_METHODS
        elif isinstance(node, ast.Call):
            name = node.func
            fits = isinstance(name, ast.Attribute) or (
                isinstance(name, ast.Name) and name.id in _SIZE_FUNCTIONS
            )
        elif isinstance(node, ast.Constant):
            fits = not isinstance(node.value, str) or bool(_NAME.fullmatch(node.value))
        else:
            fits = isinstance(node, (*_EXPRESSIONS, ast.Subscript))
        if not fits:
            raise UnsafeModelError(f"{where} has {_short(text)} as a guard: not loaded")


def _expression(text: str, where: str) -> Iterable[ast.AST]:
    try:
        return ast.walk(ast.parse(text, mode="eval"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UnsafeModelError(f"{where} has {_short(text)}, which cannot be checked: not loaded") from None


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
