"""How an answer is kept in the cache, and under which key. Pure.

The key is a digest of the model, of the outputs that were asked for, of the request's parameters, and of each
input's name, dtype, shape and bytes after decoding: how a tensor was sent makes no difference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from fairtrial_servers.serving.messages import Parameters
from fairtrial_servers.tensor_specs import NUMPY, Array, datatype_of

_PREFIX = b"fairtrial:1:"
_CHECKSUM = 16  # bytes
#: How the tensors are carried says nothing about them once they are decoded.
_CARRIAGE = frozenset({"content_type", "headers", "binary_data_output"})


class _Kept(msgspec.Struct, array_like=True):
    name: str
    datatype: str
    shape: list[int]
    data: bytes | list[Any]  # of strings and bytes


_decode = msgspec.msgpack.Decoder(list[_Kept]).decode
_encode = msgspec.msgpack.encode


def model_digest(path: Path, implementation: str, parameters: Mapping[str, str]) -> bytes:
    """Of the model's files, of what runs them, and of the parameters that it was loaded with."""
    digest = hashlib.sha256()
    said = sorted(
        (key, value) for key, value in parameters.items() if not key.startswith(("cache", "max_batch"))
    )
    digest.update(_encode([implementation, version("fairtrial-servers"), said]))
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    for file in files:
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").digest()
        digest.update(_encode([file.relative_to(path).as_posix() if path.is_dir() else "", content]))
    return digest.digest()


def key_of(
    model: bytes, inputs: Mapping[str, Array], outputs: Sequence[str], parameters: Parameters | None
) -> bytes:
    """A key of fixed length."""
    other = sorted((name, repr(value)) for name, value in (parameters or {}).items() if name not in _CARRIAGE)
    digest = hashlib.blake2b(model, digest_size=32)
    digest.update(_encode([list(outputs), other]))
    for name in sorted(inputs):
        array = inputs[name]
        digest.update(_encode([name, array.dtype.str, list(array.shape)]))
        # Objects have no bytes of their own; msgpack keeps a string, a number and a missing value apart.
        data = _encode(array.ravel().tolist()) if array.dtype.hasobject else array.tobytes()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return _PREFIX + digest.hexdigest().encode()


def pack(key: bytes, outputs: Mapping[str, Array], most: int) -> bytes | None:
    """The outputs as bytes, or None if those are more than `most` or something in them has no such form."""
    if sum(array.nbytes for array in outputs.values()) > most:
        return None
    try:
        content = _encode([_keep(name, array) for name, array in outputs.items()])
    except _UnkeepableError:
        return None
    return None if len(content) + _CHECKSUM > most else _checksum(key, content) + content


def unpack(key: bytes, value: Any) -> dict[str, Array]:
    """What `pack` was given. Raises ValueError for anything that it did not make for this key."""
    if type(value) is not bytes or value[:_CHECKSUM] != _checksum(key, value[_CHECKSUM:]):
        raise ValueError("its checksum is wrong")
    try:
        return {kept.name: _restore(kept) for kept in _decode(value[_CHECKSUM:])}
    except (msgspec.DecodeError, KeyError) as error:
        raise ValueError(str(error)) from None


def _checksum(key: bytes, content: bytes) -> bytes:
    return hashlib.blake2b(content, key=key[-64:], digest_size=_CHECKSUM).digest()


class _UnkeepableError(Exception):
    pass


def _keep(name: str, array: Array) -> _Kept:
    datatype = datatype_of(array)
    data: bytes | list[Any] = array.tobytes()
    if datatype == "BYTES":
        data = array.ravel().tolist()
        if not all(type(value) in (str, bytes) for value in data):
            raise _UnkeepableError
    return _Kept(name, datatype, list(array.shape), data)


def _restore(kept: _Kept) -> Array:
    if isinstance(kept.data, list):
        array = np.empty(len(kept.data), dtype=object)
        array[:] = kept.data
        return array.reshape(kept.shape)
    return np.frombuffer(kept.data, NUMPY[kept.datatype]).reshape(kept.shape)
