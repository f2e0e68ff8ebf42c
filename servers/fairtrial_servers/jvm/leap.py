"""An MLeap pipeline in the Java VM: its schema in V2 terms, and rows through it.

The VM must have been started with MLeap's JARs (machine.py).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fairtrial_servers.tensor_specs import NUMPY, Array, TensorSpec

#: MLeap's basic types; `byte_string` has no form that a client could send.
_DATATYPES = {"boolean": "BOOL", "byte": "INT8", "short": "INT16", "int": "INT32", "long": "INT64",
              "float": "FP32", "double": "FP64", "string": "BYTES"}  # fmt: skip
_PRIMITIVES = {"BOOL": "JBoolean", "INT8": "JByte", "INT16": "JShort", "INT32": "JInt", "INT64": "JLong",
               "FP32": "JFloat", "FP64": "JDouble", "BYTES": "JString"}  # fmt: skip
#: How many sets of outputs are kept compiled; clients choose them.
_SELECTIONS = 16

jpype: Any = importlib.import_module("jpype")  # an extra, which has no types where it is missing

_Row = Any
_Convert = Callable[[Any], Any]


@dataclass(frozen=True)
class Field:
    """A column of the pipeline. A list comes from and goes to the rows of a matrix."""

    spec: TensorSpec
    shape: str  # "scalar", "tensor", "list"
    nullable: bool


class LeapPipeline:
    """One MLeap transformer, loaded from an unpacked bundle. Raises Java's exceptions."""

    def __init__(self, folder: Path) -> None:
        dsl = jpype.JPackage("ml").combust.mleap.runtime.javadsl
        context = dsl.ContextBuilder().createMleapContext()
        bundle = dsl.BundleBuilder().load(jpype.JClass("java.io.File")(str(folder)), context)
        self._root = bundle.root()
        self._converters = jpype.JClass("scala.collection.JavaConverters")
        self._row = jpype.JClass("ml.combust.mleap.runtime.frame.ArrayRow")
        self._wrap = jpype.JClass("scala.collection.mutable.WrappedArray").make
        self._objects = jpype.JArray(jpype.JObject)
        self.inputs = self._fields(self._root.inputSchema())
        #: Those that V2 has a form for; lists differ in length from row to row.
        self.outputs = {
            name: field
            for name, field in self._fields(self._root.outputSchema()).items()
            if field is not None and field.shape != "list"
        }
        self._boxers = [
            (name, self._boxer(field), field.shape == "scalar")
            for name, field in self.inputs.items()
            if field is not None
        ]
        self._select = lru_cache(_SELECTIONS)(self._compile)

    def last(self) -> list[str]:
        """The outputs that no later stage takes; single values (the prediction) before vectors."""
        taken: set[str] = set()
        order: list[str] = []
        for stage in self._stages(self._root):
            taken.update(self._fields(stage.inputSchema()))
            order += self._fields(stage.outputSchema())
        names = [name for name in dict.fromkeys(order) if name in self.outputs and name not in taken]
        return sorted(names, key=lambda name: self.outputs[name].shape != "scalar")

    def examples(self) -> dict[str, str]:
        """For each input that a StringIndexer reads, a label that it knows."""
        known: dict[str, str] = {}
        for stage in self._stages(self._root):
            labels = getattr(stage.model(), "labels", None)
            if stage.getClass().getSimpleName() == "StringIndexer" and labels is not None:
                label = next(iter(self._java(labels())), None)
                if label is not None:
                    known.update(dict.fromkeys(self._fields(stage.inputSchema()), str(label)))
        return known

    def transform(self, columns: Mapping[str, Array], names: Sequence[str]) -> Iterator[_Row]:
        """The named outputs of each row, one at a time. Raises Java's exceptions at the row that has one."""
        transform, readers = self._select(tuple(names))
        values = [map(box, columns[name].tolist() if plain else columns[name])
                  for name, box, plain in self._boxers]  # fmt: skip
        for row in zip(*values, strict=True):
            answer = transform(self._row(self._wrap(self._objects(row))))
            yield [read(answer) for read in readers]

    def _compile(self, names: tuple[str, ...]) -> tuple[_Convert, list[_Convert]]:
        rows = jpype.JClass("ml.combust.mleap.runtime.frame.RowTransformer")
        whole = self._root.transform(rows.apply(self._root.inputSchema())).get()
        readers = [self._reader(self.outputs[name], index) for index, name in enumerate(names)]
        return whole.select(self._scala(list(names))).get().transform, readers

    def _boxer(self, field: Field) -> _Convert:
        """From an element of a decoded column to what MLeap has in a row."""
        kind = getattr(jpype, _PRIMITIVES[field.spec.datatype])
        if field.shape == "scalar":
            # JPype makes these two of Python's own types, which is faster.
            if field.spec.datatype in ("FP64", "BYTES"):
                return _plain
            return lambda value: None if value is None else kind(value)
        if field.shape == "list":
            return lambda row: self._scala([kind(value) for value in row.tolist()])
        array = jpype.JArray(kind)
        tags = jpype.JClass("scala.reflect.ClassTag")
        tag = tags.apply(array.class_.getComponentType())
        dense = jpype.JClass("ml.combust.mleap.tensor.DenseTensor")
        integer = jpype.JClass("java.lang.Integer")

        def tensor(row: Array) -> Any:
            dimensions = self._scala([integer(size) for size in row.shape])
            flat = row.ravel()
            return dense(array(flat.tolist() if flat.dtype.kind == "O" else flat), dimensions, tag)

        return tensor

    def _reader(self, field: Field, index: int) -> _Convert:
        if field.shape == "scalar":
            return lambda row: row.getRaw(index)
        dtype = NUMPY[field.spec.datatype]
        deep = len(field.spec.shape) > 2

        def read(row: _Row) -> Any:
            tensor = row.getRaw(index)
            if tensor is None:
                return None
            dense = tensor.toDense()
            values: Any = dense.toArray()
            array = np.array(list(values) if dtype.kind == "O" else values, dtype=dtype)
            return array.reshape([int(size) for size in self._java(dense.dimensions())]) if deep else array

        return read

    def _stages(self, transformer: Any) -> Iterator[Any]:
        if transformer.getClass().getSimpleName() != "Pipeline":
            yield transformer
            return
        for stage in self._java(transformer.transformers()):
            yield from self._stages(stage)

    def _fields(self, schema: Any) -> dict[str, Field | None]:
        """By name; None for a type that V2 has no form for."""
        return {str(each.name()): self._field(each) for each in self._java(schema.fields())}

    def _field(self, declared: Any) -> Field | None:
        kind = declared.dataType()
        shape = kind.getClass().getSimpleName().removesuffix("Type").lower()
        datatype = (
            _DATATYPES.get(str(kind.base().toString())) if shape in ("scalar", "tensor", "list") else None
        )
        if datatype is None:
            return None
        sizes: tuple[int, ...] = ()
        if shape == "list":
            sizes = (-1,)
        elif shape == "tensor":
            known = kind.dimensions()
            sizes = tuple(int(size) for size in self._java(known.get())) if known.isDefined() else (-1,)
        spec = TensorSpec(str(declared.name()), datatype, (-1, *sizes))
        return Field(spec, shape, bool(kind.isNullable()))

    def _scala(self, values: Sequence[Any]) -> Any:
        listed = jpype.JClass("java.util.Arrays").asList(self._objects(values))
        return self._converters.asScalaBuffer(listed).toSeq()

    def _java(self, sequence: Any) -> Any:
        return self._converters.seqAsJavaList(sequence)


def _plain(value: Any) -> Any:
    return value
