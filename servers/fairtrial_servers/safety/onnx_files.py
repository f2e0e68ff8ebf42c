"""What an ONNX file may refer to: tensors kept beside it, and nothing else on the machine.

An ONNX graph holds no code, but a tensor can be kept in another file, by a path that the model's author
chose: absolute, upwards, or through a link. It would be read and its bytes given out as predictions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from fairtrial_servers.errors import ModelError, UnsafeModelError


def check_onnx(file: Path) -> None:
    """Raises ModelError for what is no ONNX model, UnsafeModelError for one that reads outside its folder."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}") from error
    folder = file.parent.resolve()
    for tensor, location in kept_elsewhere(parse(data, str(file))):
        _check_location(tensor, location, file, folder)


def parse(data: bytes, name: str) -> onnx.ModelProto:
    """The model in these bytes, which `name` stands for in messages. Raises ModelError for what is none."""
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError:
        raise ModelError(f"{name} is damaged, or no ONNX model: it cannot be parsed") from None
    if not model.graph.output:
        raise ModelError(f"{name} is damaged, or no ONNX model: there is no graph with an output in it")
    return model


def kept_elsewhere(model: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    """Name and location of each tensor that is kept in another file; the location is "" if it is not said."""
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            kept = {entry.key: entry.value for entry in tensor.external_data}
            yield tensor.name, kept.get("location", "")


def _check_location(tensor: str, location: str, file: Path, folder: Path) -> None:
    if not location or "\0" in location:
        raise ModelError(f'{file}: the tensor "{tensor}" is said to be in another file, but not in which')
    place = (folder / location).resolve()
    if not place.is_relative_to(folder):
        raise UnsafeModelError(
            f'{file} would read {location!r} as its tensor "{tensor}": '
            f"a model reads nothing outside its own folder"
        )
    if not place.is_file():
        raise ModelError(f'{file}: {location!r}, which holds the tensor "{tensor}", is not beside it')


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from _of_graph(model.graph)
    for training in model.training_info:
        yield from _of_graph(training.initialization)
        yield from _of_graph(training.algorithm)
    for function in model.functions:
        yield from _of_nodes(function.node)
        yield from _of_attributes(function.attribute_proto)


def _of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        yield from _of_attributes(node.attribute)


def _of_attributes(attributes: Iterable[onnx.AttributeProto]) -> Iterator[onnx.TensorProto]:
    for attribute in attributes:
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            yield from _of_graph(graph)
