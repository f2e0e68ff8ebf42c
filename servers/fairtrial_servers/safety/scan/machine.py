"""Reads a pickle as the unpickler does, and does nothing: no import, no call, no state.

A scan of the opcodes has to guess what the unpickler will make of them: names put together on the stack,
memo entries, raw arrays between the opcodes, pickles inside arrays. Here it is Python's own pure unpickler
that goes through the file, with every step that has an effect replaced by a stand-in. Containers stay
empty where nothing can come out of them again, so that neither memory nor time can be made to explode.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from struct import unpack
from typing import IO, TYPE_CHECKING, Any, ClassVar

from fairtrial_servers.safety.scan.arrays import WRAPPER_STATE, layout
from fairtrial_servers.safety.scan.findings import TooMuch, Unreadable
from fairtrial_servers.safety.scan.inert import Inert, Seen
from fairtrial_servers.safety.scan.names import ARRAY_WRAPPER

#: Opcodes of one file. An honest model of a million words takes four million.
MAX_STEPS = 50_000_000
_MAX_MEMO = 10_000_000
_MAX_DEPTH = 20  # of arrays of objects, each a pickle of its own, inside one another
_KEPT = 64  # elements of a dict or characters of a string that can matter: names, and what describes arrays
_LONG = 1 << 16  # bytes and texts from here on are skipped in the stream
_LINE = 64 << 20

_RECONSTRUCTORS = {("copyreg", "_reconstructor"), ("copy_reg", "_reconstructor")}
_OBJECT = {("builtins", "object"), ("__builtin__", "object")}


class _Stop(Exception):
    pass


class Machine(pickle._Unpickler):  # type: ignore[name-defined, misc]
    """Goes through one pickle in `stream`, from where it stands to its end.

    plain: as `pickle.load` reads it, which knows no arrays between the opcodes and goes by no frames.
    """

    if TYPE_CHECKING:  # of the base, which the type checker's stubs leave out
        memo: dict[int, Any]
        encoding: str

        def pop_mark(self) -> list[Any]: ...

    dispatch: ClassVar[dict[int, Callable[[Machine], None]]] = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]

    def __init__(
        self, stream: IO[bytes], size: int, seen: Seen, *, plain: bool = False, depth: int = 0
    ) -> None:
        super().__init__(stream)
        self._stream = stream
        self._size = size
        self._seen = seen
        self._plain = plain
        self._depth = depth

    def load(self) -> Any:
        """The object that the pickle stands for, inert. Raises whatever a damaged pickle makes it raise,
        TooMuch, and Unreadable."""
        self._unframer = pickle._Unframer(self._read, self._readline)  # type: ignore[attr-defined]
        self.read = self._unframer.read
        self.readinto = self._unframer.readinto
        self.readline = self._unframer.readline
        self.metastack: list[list[Any]] = []
        self.stack: list[Any] = []
        self.append = self.stack.append
        self.proto = 0
        read, dispatch, seen = self.read, self.dispatch, self._seen
        step = seen.steps
        try:
            while True:
                key = read(1)
                if not key:
                    raise EOFError("it ends in the middle")
                step += 1
                if not step & 0xFFFF:
                    self._check(step)
                handler = dispatch.get(key[0])
                if handler is None:
                    raise pickle.UnpicklingError(f"there is no opcode {key!r}")
                handler(self)
        except _Stop:
            return self.stack.pop()
        finally:
            seen.steps = step

    def _check(self, step: int) -> None:
        if step > MAX_STEPS or len(self.memo) > _MAX_MEMO:
            raise TooMuch(f"takes more than {MAX_STEPS:,} steps to go through")

    def _read(self, size: int) -> bytes:
        if size > _LINE:
            raise Unreadable(f"one piece of it is {size:,} bytes long")
        return self._stream.read(size)

    def _readline(self) -> bytes:
        line = self._stream.readline(_LINE + 1)
        if len(line) > _LINE:
            raise Unreadable("a line in it has no end")
        return line

    def find_class(self, module: str, name: str) -> Any:
        self._seen.names.setdefault((module, name))
        return Inert((module, name))

    def get_extension(self, code: int) -> None:
        self._seen.extensions.add(code)
        self.append(Inert())

    def persistent_load(self, pid: Any) -> Any:
        self._seen.persistent.append(pid)
        return Inert(made=True)

    def _called(self, function: Any, args: Any) -> Inert:
        self._seen.calls += 1
        name: tuple[str, str] = function.name if isinstance(function, Inert) else ("", "")
        if name in _RECONSTRUCTORS and isinstance(args, tuple) and args and isinstance(args[0], Inert):
            return Inert(args[0].name, made=True)
        return Inert(name, made=True, args=args)

    def _instantiate(self, klass: Any, args: Iterable[Any]) -> None:
        self.append(self._called(klass, tuple(self._free(list(args)))))

    def _free(self, values: list[Any]) -> list[Any]:
        """The values, for an argument or a state: joblib's array wrapper is no argument of anything.

        Through functools.partial, say, arrays would appear where this does not see them.
        """
        for value in values:
            if isinstance(value, Inert) and value.name == ARRAY_WRAPPER:
                honest = len(values) == 3 and values[2] is None and values[0] is value
                base = values[1] if honest else None
                if not (isinstance(base, Inert) and base.name in _OBJECT):
                    raise Unreadable("it uses joblib's arrays in a way that joblib does not")
        return values

    def _skip(self, size: int) -> bool:
        """Go past `size` bytes if they are long and not in a frame; whether that was done."""
        if size < _LONG or self._unframer.current_frame:
            return False
        here = self._stream.tell()
        if size > self._size - here:
            raise EOFError("it ends in the middle")
        self._stream.seek(here + size)
        self.append(Inert(made=True))
        return True

    def _array(self, wrapper: Inert) -> Inert:
        """Go past the array that follows its wrapper in the stream, as joblib reads it."""
        self._seen.arrays += 1
        size, pickled = layout(wrapper.state)
        if pickled:
            if self._depth == _MAX_DEPTH:
                raise TooMuch("has arrays of objects inside one another without end")
            Machine(self._stream, self._size, self._seen, depth=self._depth + 1).load()
            return Inert(made=True)
        if "numpy_array_alignment_bytes" in wrapper.state:
            self._stream.seek(int.from_bytes(self._stream.read(1), "little"), 1)
        here = self._stream.tell()
        if size > self._size - here:
            raise EOFError("an array in it is cut off")
        self._stream.seek(here + size)
        return Inert(made=True)

    # What follows replaces the handlers of the opcodes that have effects, or that hold much.

    def load_stop(self) -> None:
        raise _Stop

    def load_frame(self) -> None:
        (size,) = unpack("<Q", self.read(8))
        if self._plain:
            return
        if size > _LINE:
            raise Unreadable(f"a frame of it is {size:,} bytes long")
        self._unframer.load_frame(size)

    def _counted(self, form: str, width: int, make: Callable[[bytes], Any]) -> None:
        (size,) = unpack(form, self.read(width))
        if size < 0:
            raise pickle.UnpicklingError("a length in it is negative")
        if not self._skip(size):
            self.append(make(self.read(size)))

    def load_binbytes(self) -> None:
        self._counted("<I", 4, bytes)

    def load_binbytes8(self) -> None:
        self._counted("<Q", 8, bytes)

    def load_bytearray8(self) -> None:
        self._counted("<Q", 8, lambda _: Inert(made=True))

    def load_binstring(self) -> None:
        self._counted("<i", 4, lambda data: data.decode(self.encoding, "surrogateescape"))

    def load_binunicode(self) -> None:
        self._counted("<I", 4, lambda data: data.decode("utf-8", "surrogatepass"))

    def load_binunicode8(self) -> None:
        self._counted("<Q", 8, lambda data: data.decode("utf-8", "surrogatepass"))

    def load_reduce(self) -> None:
        args = self.stack.pop()
        self.stack[-1] = self._called(self.stack[-1], args)

    def load_newobj(self) -> None:
        args = self.stack.pop()
        self.stack[-1] = self._called(self.stack[-1], args)

    def load_newobj_ex(self) -> None:
        self.stack.pop()
        self.load_newobj()

    def load_build(self) -> None:
        state = self.stack.pop()
        made = self.stack[-1]
        self._free([state])
        if not isinstance(made, Inert):
            return
        if made.name == ARRAY_WRAPPER and made.made and not self._plain:
            if not isinstance(state, dict) or not state.keys() <= WRAPPER_STATE:
                raise Unreadable("it describes an array in a way that joblib does not")
            made.state = {**(made.state or {}), **state}
            self.stack[-1] = self._array(made)
            return
        if made.state is not None and made.name == ("numpy", "dtype"):
            raise Unreadable("it describes the type of an array twice")
        made.state = state if isinstance(state, tuple) and len(state) < _KEPT else ()

    def load_appends(self) -> None:
        self._free_of_wrappers(self.pop_mark())

    def load_append(self) -> None:
        self._free_of_wrappers([self.stack.pop()])

    def load_setitem(self) -> None:
        value = self.stack.pop()
        key = self.stack.pop()
        self._put([key, value])

    def load_setitems(self) -> None:
        self._put(self.pop_mark())

    def _put(self, items: list[Any]) -> None:
        self._free_of_wrappers(items)
        target = self.stack[-1]
        if isinstance(target, dict):
            for key, value in zip(items[::2], items[1::2], strict=False):
                if type(key) is str and len(target) < _KEPT:
                    target[key] = value

    def _free_of_wrappers(self, values: list[Any]) -> None:
        if any(isinstance(value, Inert) and value.name == ARRAY_WRAPPER for value in values):
            raise Unreadable("it uses joblib's arrays in a way that joblib does not")

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self._put(items)

    def load_list(self) -> None:
        self._free_of_wrappers(self.pop_mark())
        self.append([])

    def load_frozenset(self) -> None:
        self._free_of_wrappers(self.pop_mark())
        self.append(Inert(made=True))

    def load_additems(self) -> None:
        self._free_of_wrappers(self.pop_mark())

    def load_tuple(self) -> None:
        items = self.pop_mark()
        self.append(tuple(self._free(items)))

    def load_tuple1(self) -> None:
        self.stack[-1] = tuple(self._free(self.stack[-1:]))

    def load_tuple2(self) -> None:
        self.stack[-2:] = [tuple(self._free(self.stack[-2:]))]

    def load_tuple3(self) -> None:
        self.stack[-3:] = [tuple(self._free(self.stack[-3:]))]

    def load_next_buffer(self) -> None:
        raise pickle.UnpicklingError("it keeps data in a place that no loader looks for")

    dispatch.update(
        {
            opcode[0]: handler
            for opcode, handler in {
                pickle.STOP: load_stop,
                pickle.FRAME: load_frame,
                pickle.BINBYTES: load_binbytes,
                pickle.BINBYTES8: load_binbytes8,
                pickle.BYTEARRAY8: load_bytearray8,
                pickle.BINSTRING: load_binstring,
                pickle.BINUNICODE: load_binunicode,
                pickle.BINUNICODE8: load_binunicode8,
                pickle.REDUCE: load_reduce,
                pickle.NEWOBJ: load_newobj,
                pickle.NEWOBJ_EX: load_newobj_ex,
                pickle.BUILD: load_build,
                pickle.APPENDS: load_appends,
                pickle.APPEND: load_append,
                pickle.SETITEM: load_setitem,
                pickle.SETITEMS: load_setitems,
                pickle.DICT: load_dict,
                pickle.LIST: load_list,
                pickle.FROZENSET: load_frozenset,
                pickle.ADDITEMS: load_additems,
                pickle.TUPLE: load_tuple,
                pickle.TUPLE1: load_tuple1,
                pickle.TUPLE2: load_tuple2,
                pickle.TUPLE3: load_tuple3,
                pickle.NEXT_BUFFER: load_next_buffer,
            }.items()
        }
    )
