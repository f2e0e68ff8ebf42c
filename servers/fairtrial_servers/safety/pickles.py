"""Loads pickles and joblib files through the policy: a name that it does not admit is never looked up.

The check sits in the unpickler itself, not in a scan before it. A scan has to guess what the unpickler
will do (names put together on the stack, arrays of raw bytes between the opcodes, pickles inside object
arrays, compression), and each difference is a way past it; here there is none, for it is the same pass.
What was built before a refusal was built by admitted names only, and is dropped.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from joblib.compressor import BinaryZlibFile
from joblib.numpy_pickle import NumpyArrayWrapper, NumpyUnpickler

from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.safety.policy import admits

#: A compressed file may unfold to this many bytes and no further.
MAX_UNCOMPRESSED = 4 << 30


class _Bounded(io.RawIOBase):
    """A stream that ends in an error after `limit` bytes, before they are put in memory."""

    def __init__(self, stream: IO[bytes], limit: int, name: str) -> None:
        super().__init__()
        self._stream = stream
        self._left = limit
        self._name = name
        self._limit = limit

    def read(self, size: int | None = -1, /) -> bytes:
        asked = self._left + 1 if size is None or size < 0 else size
        data = self._stream.read(min(asked, self._left + 1))
        return self._count(data)

    def readline(self, size: int | None = -1, /) -> bytes:
        asked = self._left + 1 if size is None or size < 0 else size
        return self._count(self._stream.readline(min(asked, self._left + 1)))

    def readinto(self, buffer: Any, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _count(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise UnsafeModelError(f"{self._name} holds more than {self._limit / 2**30:.1f} GiB: not loaded")
        return data

    def left(self) -> int:
        return self._left


class _GuardedArray(NumpyArrayWrapper):
    """joblib's stand-in for an array whose raw bytes follow in the stream, with its size checked."""

    def read(self, unpickler: Any, ensure_native_byte_order: bool) -> Any:
        dtype: np.dtype[Any] = self.dtype
        if not dtype.hasobject:
            size = dtype.itemsize
            for length in self.shape:
                size *= int(length)
            if not 0 <= size <= unpickler.file_handle.left():
                raise ModelError(
                    f"{unpickler.source} is damaged: an array of {size} bytes does not fit in it"
                )
            return super().read(unpickler, ensure_native_byte_order)
        # An array of Python objects follows as a pickle of its own: the same guard reads it.
        nested = _Guarded(unpickler.source, unpickler.file_handle, unpickler.trusted)
        return nested.load()


class _Guarded(NumpyUnpickler):
    def __init__(self, source: str, stream: _Bounded, trusted: frozenset[str]) -> None:
        super().__init__(source, stream, ensure_native_byte_order=True)
        self.source = source
        self.trusted = trusted

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("joblib.numpy_pickle", "NumpyArrayWrapper"):
            return _GuardedArray
        check(module, name, self.source, self.trusted)
        return super().find_class(module, name)


def check(module: str, name: str, source: str, trusted: frozenset[str]) -> None:
    """Raise UnsafeModelError, which names it, unless `source` may refer to `module.name`.

    Raises ModelError when the name is admitted but does not exist on this machine.
    """
    try:
        admitted = admits(module, name, trusted)
    except (ImportError, AttributeError) as missing:
        raise ModelError(
            f"{source} needs {module}.{name}, which is not installed here in the version "
            f"that the model was saved with ({missing})"
        ) from missing
    if admitted:
        return
    if module == "__main__":
        raise UnsafeModelError(
            f"{source} refers to {name}, defined in the very script that trained the model: move it to a "
            f'module that can be imported here, save again, and name that module in the parameter "trusted"'
        )
    raise UnsafeModelError(
        f"{source} refers to {module}.{name}, which no scikit-learn model needs: not loaded; if it is "
        f'your own code, name its module in the model\'s parameter "trusted"'
    )


def load_pickle(path: Path, trusted: Iterable[str] = ()) -> Any:
    """The object in a pickle or joblib file, plain or compressed by zlib, gzip, bz2, lzma or xz.

    Raises UnsafeModelError for a name outside the policy (safety/policy.py) or too much data, ModelError for
    a damaged file.
    """
    limit = MAX_UNCOMPRESSED
    with path.open("rb") as raw:
        stream = _decompressed(raw, path.name)
        if stream is raw:
            limit = path.stat().st_size
        bounded = _Bounded(cast("IO[bytes]", stream), limit, path.name)
        try:
            return _Guarded(path.name, bounded, frozenset(trusted)).load()
        except ModelError:
            raise
        except MemoryError as error:
            raise ModelError(f"{path.name} is damaged, or does not fit in memory") from error
        except Exception as error:  # a damaged pickle can fail in any way at all
            reason = str(error) or type(error).__name__
            raise ModelError(f"{path.name} is damaged or not a pickle: {reason.splitlines()[0]}") from error


def _decompressed(raw: io.BufferedReader, name: str) -> IO[bytes] | io.BufferedIOBase:
    head = raw.peek(6)[:6]
    if head[:2] == b"\x1f\x8b":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    if head[:3] == b"BZh":
        return bz2.BZ2File(raw)
    if head[:6] == b"\xfd7zXZ\x00" or head[:2] == b"]\x00":
        return lzma.LZMAFile(raw)
    if head[:1] == b"\x78":
        return BinaryZlibFile(raw)
    if head[:4] == b"\x04\x22\x4d\x18":
        raise ModelError(
            f"{name} is compressed by lz4, which is not read: save it with zlib, gzip, bz2 or xz"
        )
    return raw
