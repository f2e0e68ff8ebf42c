"""TensorFlow graphs, checked before TensorFlow sees them. Needs no TensorFlow.

A graph is a program: some of its operators read and write any file, open connections, call Python or hide
a further graph in a string. None of that is a prediction's work. The saver that every SavedModel has is
admitted where it is what restores the variables, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.safety.tensorflow_graphs import parse

SAVED_MODEL = "saved_model.pb"

_SAVER = frozenset({"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename", "ShardedFilespec", "Save",
                    "SaveSlices", "Restore", "RestoreSlice"})  # fmt: skip
#: By name, whatever the version: files, networks, Python, graphs in strings, the end of the process.
_REFUSED = re.compile(
    r"\w*(?:File(?!name$)|Dataset|Iterator|Reader|PyFunc|Rpc|SummaryWriter|SummaryDbWriter|Snapshot|Checkpoint"
    r"|Lmdb|LMDB|Bigtable|DataService|RemoteCall|CustomCall|HostCompute|DebugIdentity|DebugNumeric|DebugNan)\w*"
    r"|Write\w*Summary|ImportEvent|RecordInput|LoadAndRemapMatrix|GenerateVocabRemapping|Skipgram"
    r"|FixedUnigramCandidateSampler|DumpTensor|CalibrationStatisticsSaver|StatsAggregator\w*|DistributedSave"
    r"|DTensorRestoreV2|DecodeProto\w*|EncodeProto|Abort|_?Send|_?Recv|_Host\w+|_?Xla(?:Send|Recv)\w*|Collective\w*"
    r"|TRTEngineOp|_?TPU\w*|\w*DistributedTPU\w*"
)
#: Where tf.print may write to; it takes any file as well.
_STREAMS = frozenset({b"", b"stderr", b"stdout", b"log(info)", b"log(warning)", b"log(error)"})


def is_refused(operator: str) -> bool:
    """Whether no served graph may have this operator at all."""
    return operator not in _SAVER and bool(_REFUSED.fullmatch(operator))


def check_saved_model(folder: Path) -> list[tuple[str, ...]]:
    """The tags of each graph in a SavedModel folder, once all of it was checked.

    Raises ModelError for one that is damaged, UnsafeModelError, which names the operator or the file.
    """
    file = folder / SAVED_MODEL
    _check_folder(folder)
    model = parse("SavedModel", _read(file), str(file))
    if not model.meta_graphs:
        raise ModelError(f"{file} is damaged, or no SavedModel: there is no graph in it")
    for meta in model.meta_graphs:
        for asset in meta.assets:
            path = PurePosixPath(asset.filename)
            if path.is_absolute() or ".." in path.parts or "\\" in asset.filename:
                raise UnsafeModelError(f"{file} names {asset.filename!r} as an asset, outside its own folder")
        _check_graph(meta.graph, str(file), meta.saver)
    return [tuple(meta.info.tags) for meta in model.meta_graphs]


def check_frozen_graph(file: Path) -> None:
    """Raises ModelError for what is no graph, UnsafeModelError for one that does more than compute."""
    graph = parse("Graph", _read(file), str(file))
    if not any(node.op for node in graph.nodes):
        raise ModelError(f"{file} is damaged, or no frozen graph: there are no operators in it")
    _check_graph(graph, str(file), None)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}") from error


def _check_folder(folder: Path) -> None:
    """TensorFlow reads what lies in the folder by name, so no name may lead out of it."""
    home = folder.resolve()
    if (folder / "saved_model.cpb").exists():
        raise ModelError(
            f"{folder} holds saved_model.cpb, a model in chunks, which is not read: save it under 2 GB"
        )
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(home):
            raise UnsafeModelError(f"{path} is a link out of the model's own folder")


def _check_graph(graph: Any, where: str, saver: Any) -> None:
    for node in _all_nodes(graph):
        if is_refused(node.op):
            raise UnsafeModelError(f"{where} has the operator {node.op} ({node.name!r}): {_WHY}")
        if node.op == "PrintV2":
            stream = next((each.value.text for each in node.attributes if each.key == "output_stream"), b"")
            if stream not in _STREAMS:
                raise UnsafeModelError(f"{where} prints to {stream.decode(errors='replace')!r}: {_WHY}")
    _check_saver(graph, where, saver)


_WHY = "a served graph computes, and does not reach files, networks or code; not loaded"


def _all_nodes(graph: Any) -> Iterable[Any]:
    yield from graph.nodes
    for function in graph.library.functions:
        yield from function.nodes


def _check_saver(graph: Any, where: str, saver: Any) -> None:
    """Operators of the saver, but where the saver itself calls for them, are as good as ReadFile."""
    nodes = {node.name: node for node in graph.nodes}
    functions = {function.signature.name: function for function in graph.library.functions}
    roots = [_base(name) for name in (saver.save, saver.restore) if name] if saver is not None else []
    own = _ancestors(nodes, roots)
    own_functions = {name for node in own for name in _called(nodes[node])}
    names = [_base(saver.filename)] if saver is not None and saver.filename else []
    for node in graph.nodes:
        if node.op not in _SAVER:
            # A function of the saver's that something else calls as well is no longer the saver's own.
            if node.name not in own:
                own_functions -= set(_called(node))
            continue
        if node.name not in own:
            raise _misplaced(node, where)
        if node.op == "RestoreV2" and node.inputs:
            source = nodes.get(_base(node.inputs[0]))
            if source is not None and source.op == "Const" and source.name not in names:
                raise UnsafeModelError(
                    f"{where} restores variables from a file of its own choice: not loaded"
                )
    for name, function in functions.items():
        called = {inner for node in function.nodes for inner in _called(node)}
        own_functions -= called if name not in own_functions else set()
    for name, function in functions.items():
        constants = {node.name for node in function.nodes if node.op == "Const"}
        for node in function.nodes:
            if node.op not in _SAVER:
                continue
            if name not in own_functions:
                raise _misplaced(node, where)
            if node.op == "RestoreV2" and node.inputs and _base(node.inputs[0]) in constants:
                raise UnsafeModelError(
                    f"{where} restores variables from a file of its own choice: not loaded"
                )


def _misplaced(node: Any, where: str) -> UnsafeModelError:
    return UnsafeModelError(
        f"{where} has the operator {node.op} ({node.name!r}) outside of its saver: {_WHY}"
    )


def _ancestors(nodes: dict[str, Any], roots: list[str]) -> set[str]:
    """The names of all nodes that those of `roots` depend on, and their own."""
    found: set[str] = set()
    ahead = [name for name in roots if name in nodes]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead.extend(base for each in nodes[name].inputs if (base := _base(each)) in nodes)
    return found


def _called(node: Any) -> list[str]:
    """The functions that a node names in its attributes."""
    calls: list[str] = []
    for attribute in node.attributes:
        if attribute.value.function.name:
            calls.append(attribute.value.function.name)
        calls.extend(call.name for call in attribute.value.list.functions)
    return calls


def _base(name: str) -> str:
    """ "^node", "node:1" and "node:output:0" are all of the node."""
    return name.removeprefix("^").partition(":")[0]
