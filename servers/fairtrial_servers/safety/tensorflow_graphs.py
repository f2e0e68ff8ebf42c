"""TensorFlow graphs and SavedModels as protobuf, without TensorFlow: the few fields that a check reads.

The numbers are those of TensorFlow's own .proto files (saved_model, meta_graph, graph, function, node_def).
Whatever else a file has is skipped over, as protobuf does with fields that it does not know.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from fairtrial_servers.errors import ModelError

_INT, _TEXT, _BYTES = 3, 9, 12
#: Message -> field -> (number, repeated, type or name of the message).
_FIELDS: dict[str, dict[str, tuple[int, bool, int | str]]] = {
    "SavedModel": {"schema": (1, False, _INT), "meta_graphs": (2, True, "MetaGraph")},
    "MetaGraph": {
        "info": (1, False, "Info"),
        "graph": (2, False, "Graph"),
        "saver": (3, False, "Saver"),
        "assets": (6, True, "Asset"),
    },
    "Info": {"tags": (4, True, _TEXT)},
    "Saver": {
        "filename": (1, False, _TEXT),
        "save": (2, False, _TEXT),
        "restore": (3, False, _TEXT),
    },
    "Asset": {"filename": (2, False, _TEXT)},
    "Graph": {"nodes": (1, True, "Node"), "library": (2, False, "Library")},
    "Library": {"functions": (1, True, "Function")},
    "Function": {"signature": (1, False, "Signature"), "nodes": (3, True, "Node")},
    "Signature": {"name": (1, False, _TEXT)},
    "Node": {
        "name": (1, False, _TEXT),
        "op": (2, False, _TEXT),
        "inputs": (3, True, _TEXT),
        "attributes": (5, True, "Attribute"),
    },
    "Attribute": {"key": (1, False, _TEXT), "value": (2, False, "Value")},  # an entry of the map
    "Value": {"list": (1, False, "Values"), "text": (2, False, _BYTES), "function": (10, False, "Call")},
    "Values": {"functions": (9, True, "Call")},
    "Call": {"name": (1, False, _TEXT)},
}


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="fairtrial/tensorflow_graphs.proto", package="fairtrial.tensorflow", syntax="proto3"
    )
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, (number, repeated, kind) in fields.items():
            added: Any = message.field.add(name=field, number=number, label=3 if repeated else 1)
            if isinstance(kind, str):
                added.type, added.type_name = 11, f".fairtrial.tensorflow.{kind}"
            else:
                added.type = kind
    pool: Any = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClassesForFiles([file.name], pool)


_CLASSES = _classes()


def message(kind: str) -> Any:
    """An empty message of a kind in `_FIELDS`."""
    return _CLASSES[f"fairtrial.tensorflow.{kind}"]()


def parse(kind: str, data: bytes, where: str) -> Any:
    """`data` as a "SavedModel" or a "Graph". Raises ModelError for what is no protobuf."""
    read = message(kind)
    try:
        read.ParseFromString(data)
    except (DecodeError, RecursionError):
        raise ModelError(f"{where} is damaged, or no {kind} of TensorFlow: it cannot be parsed") from None
    return read
