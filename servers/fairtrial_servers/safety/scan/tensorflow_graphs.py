"""TensorFlow's SavedModels and frozen graphs: operations on files, the network and Python.

A graph is a program, and some operations in it reach the machine. Every SavedModel also carries functions
that save and restore its variables; those operations are admitted there, and nowhere that an answer or a
start-up comes from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from fairtrial_servers.safety.scan import keras_configs
from fairtrial_servers.safety.scan.content import Content, Yielded
from fairtrial_servers.safety.scan.findings import Damaged, Unreadable
from fairtrial_servers.safety.scan.packed import leaves
from fairtrial_servers.safety.scan.protobuf import Message, messages, text, texts

_LIMIT = (2 << 30) - 1  # of protocol buffers themselves

_WHY = {
    "which reads files": r"ReadFile|MatchingFiles(Dataset)?|WholeFileReader(V2)?|TextLineReader(V2)?"
    r"|TextLineDataset|TFRecord(Reader|Dataset)(V2)?|FixedLengthRecord(Reader|Dataset)(V2)?|LMDB(Reader|Dataset)"
    r"|(Experimental)?(CSV|Sql|LMDB|Load)Dataset(V2)?|ImmutableConst|ImportEvent|BigQuery\w+|DecodeProto(V2)?"
    r"|EncodeProto",
    "which writes files": r"WriteFile|Save(Slices)?|(Snapshot|Save|Cache)Dataset(V2)?"
    r"|(Experimental)?DatasetToTFRecord|CreateSummary(File|Db)Writer|Write\w*Summary|FlushSummaryWriter"
    r"|Debug(Identity|Nan|NumericSummary)\w*",
    "which runs Python": r"PyFunc(Stateless)?|EagerPyFunc",
    "which reaches over the network": r"Rpc\w*|TryRpc|RemoteCall|DataServiceDataset\w*|RegisterDataset(V2)?"
    r"|FileSystemSetConfiguration|ConfigureDistributed\w+|GcsConfigure\w+",
    "which runs native code that comes with it": r"TRTEngineOp|(Create|Initialize|Serialize)TRTResource\w*",
}
_REFUSED = [(re.compile(pattern), why) for why, pattern in _WHY.items()]
#: What the functions that save variables are made of.
_SAVING = frozenset({"SaveV2", "MergeV2Checkpoints"})

_AT_START = ("saved_model_main_op", "legacy_init_op", "table_initializer", "init_op")


class _Graph:
    """Nodes and functions of one GraphDef, and what runs when a node does."""

    def __init__(self, message: Message) -> None:
        self.nodes = {text(node, 1): node for node in messages(message, 1)}
        self.functions: dict[str, list[Message]] = {}
        for function in messages(message, 2, 1):
            self.functions.setdefault(text(function, 1, 1), []).extend(messages(function, 3))
        self.all = [*messages(message, 1), *(node for body in self.functions.values() for node in body)]

    def runs(self, starts: set[str]) -> Iterator[Message]:
        """Every node that runs for the tensors `starts`: those that feed them, and functions they call."""
        waiting, seen, called = [_node_name(start) for start in starts], set[str](), set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen or name not in self.nodes:
                continue
            seen.add(name)
            node = self.nodes[name]
            yield node
            waiting.extend(_node_name(each) for each in texts(node, 3))
            bodies = [*_functions_of(node)]
            while bodies:
                function = bodies.pop()
                if function in called:
                    continue
                called.add(function)
                for inner in self.functions.get(function, ()):
                    yield inner
                    bodies.extend(_functions_of(inner))


def check_saved_model(content: Content) -> Yielded:
    try:
        model = memoryview(content.whole(_LIMIT))
        graphs = list(messages(model, 2))
        for meta in graphs:
            yield from _check_meta(content, meta)
    except Unreadable as error:
        yield content.damaged(f"it is no SavedModel: {error}")
        return
    if not graphs:
        yield content.damaged("it is no SavedModel: there is no graph in it")


def check_frozen(content: Content) -> Yielded:
    """A frozen graph, all of which may be run."""
    try:
        graph = _Graph(memoryview(content.whole(_LIMIT)))
        yield from _refuse(content, graph.all, _SAVING)
    except Unreadable as error:
        raise Damaged(f"it is no TensorFlow graph: {error}") from error
    if not any(text(node, 2) for node in graph.all):
        raise Damaged("it is no TensorFlow graph: there is no operation in it")


def check_keras_metadata(content: Content) -> Yielded:
    """What Keras 2 keeps beside a SavedModel: a configuration for each layer."""
    try:
        found = [said for node in messages(memoryview(content.whole(_LIMIT)), 1) for said in texts(node, 4)]
        for said in found:
            yield from keras_configs.check(content, json.loads(said) if said else {})
    except (Unreadable, ValueError, RecursionError) as error:
        yield content.damaged(f"it is no metadata of Keras: {error}")


def _check_meta(content: Content, meta: Message) -> Yielded:
    for graph_message in messages(meta, 2):
        graph = _Graph(graph_message)
        yield from _refuse(content, graph.all)
        # Signatures' outputs, and what TensorFlow 1 ran at the start, named in collections.
        starts = set(texts(meta, 5, 2, 2, 2, 1))
        for collection in messages(meta, 4):
            if text(collection, 1) in _AT_START:
                starts |= set(texts(collection, 2, 1, 1))
        yield from _refuse(content, list(graph.runs(starts)), _SAVING)
    for asset in texts(meta, 6, 2):
        if leaves(asset):
            yield content.unsafe(f"would read {asset!r}", "and a model reads nothing outside its own folder")


def _refuse(content: Content, nodes: list[Message], also: frozenset[str] = frozenset()) -> Yielded:
    """Operations that reach the machine, and those of `also`, once each."""
    told: set[str] = set()
    for node in nodes:
        op = text(node, 2)
        why = next((why for pattern, why in _REFUSED if pattern.fullmatch(op)), None)
        if op in also or (op == "PrintV2" and any(to.startswith("file:") for to in texts(node, 5, 2, 2))):
            why = "which writes files"
        if why and op not in told:
            told.add(op)
            yield content.unsafe(f"has an operation {op}", why, op)


def _functions_of(node: Message) -> Iterator[str]:
    yield from texts(node, 5, 2, 10, 1)
    yield from texts(node, 5, 2, 1, 9, 1)
    yield text(node, 2)  # a function may be called as an operation of its own name


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]
