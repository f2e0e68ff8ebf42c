"""What the stores of objects have in common: a file or a prefix, listed and read through fsspec."""

from __future__ import annotations

import errno
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fairtrial_servers.addresses import said, shown
from fairtrial_servers.errors import ModelError
from fairtrial_servers.store.interface import Received, UnreachableError
from fairtrial_servers.store.receiving import CHUNK, Receiver

#: Bytes that are asked for at once.
_BLOCK = 16 * CHUNK
_OWN_DISK = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class _Found:
    """What is at an address: objects by their name relative to it."""

    objects: Mapping[str, Mapping[str, Any]]
    lone: bool

    def version(self, stamps: Mapping[str, str | None]) -> str | None:
        """From the objects' own versions; None where one has none."""
        if None in stamps.values():
            return None
        lines = (f"{name} {self.objects[name]['size']} {stamps[name]}\n" for name in sorted(self.objects))
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


class ObjectStore(ABC):
    """Base of such stores."""

    #: Errors of the store's library when it lets nobody in, and all others it has beside OSError.
    denied: tuple[type[BaseException], ...] = (PermissionError,)
    failures: tuple[type[BaseException], ...] = ()
    credentials: str  # where they come from, for the message

    @abstractmethod
    def connect(self, uri: str) -> tuple[Any, str]:
        """A filesystem of fsspec, and the path on it."""

    @abstractmethod
    def stamp(self, info: Mapping[str, Any]) -> str | None:
        """By which an object can be told from what takes its place later; None where there is nothing."""

    def check(self, filesystem: Any, info: Mapping[str, Any], md5: bytes) -> bool:
        """Whether the content that has come has the checksum that the store gives, if it gives one."""
        del filesystem, info, md5
        return True

    def is_denied(self, error: BaseException) -> bool:
        """Whether the store is there and lets nobody in."""
        return isinstance(error, self.denied)

    def identity(self, uri: str) -> str:
        return uri

    def is_fixed(self, uri: str) -> bool:
        del uri
        return False

    def download(self, uri: str, known: str | None, receiver: Receiver) -> Received:
        with self._in_words(uri):
            filesystem, path = self.connect(uri)
            found = self._look(filesystem, path, uri)
            version = self._version(found)
            if version is not None and version == known:
                return Received(version, found.lone, changed=False)
            objects = found.objects
            receiver.expect(sum(info["size"] for info in objects.values()), len(objects))
            for name, info in objects.items():
                self._read(filesystem, name, info, receiver)
            if self._version(self._look(filesystem, path, uri)) != version:
                raise UnreachableError(f"{shown(uri)} was changed while it was fetched: try again")
            return Received(version, found.lone)

    def _look(self, filesystem: Any, path: str, uri: str) -> _Found:
        if not uri.partition("?")[0].endswith("/"):
            info = filesystem.info(path)
            if info["type"] == "file":
                name = path.partition("?")[0].rpartition("/")[2]
                return _Found({name: {**info, "name": path}}, lone=True)  # with the version that is asked for
        prefix = path.rstrip("/") + "/"
        listed: Mapping[str, Mapping[str, Any]] = filesystem.find(prefix, detail=True)
        objects = {
            name.removeprefix(prefix): info
            for name, info in listed.items()
            if info["type"] == "file" and not name.endswith("/")  # some tools mark a folder by an object
        }
        if not objects:
            raise ModelError(f"there is no model at {shown(uri)}: neither an object nor a prefix of any")
        return _Found(objects, lone=False)

    def _version(self, found: _Found) -> str | None:
        return found.version({name: self.stamp(info) for name, info in found.objects.items()})

    def _read(self, filesystem: Any, name: str, info: Mapping[str, Any], receiver: Receiver) -> None:
        with receiver.file(name, info["size"]) as sink:
            with filesystem.open(info["name"], "rb", block_size=_BLOCK, cache_type="none") as opened:
                while chunk := opened.read(_BLOCK):
                    sink.write(chunk)
            if not self.check(filesystem, info, sink.md5.digest()):
                raise UnreachableError(
                    f"{receiver.what} is broken on its way: {name!r} has not the checksum "
                    f"that the store gives"
                )

    @contextmanager
    def _in_words(self, uri: str) -> Generator[None]:
        where = shown(uri)
        try:
            yield
        except FileNotFoundError:
            raise ModelError(f"there is no model at {where}") from None
        except (OSError, *self.denied, *self.failures) as error:
            if isinstance(error, OSError) and error.errno in _OWN_DISK:
                raise
            if self.is_denied(error):
                raise ModelError(
                    f"{where} may not be read: {said(error, uri)}; credentials come from {self.credentials}"
                ) from None
            raise UnreachableError(f"{where} cannot be fetched: {said(error, uri)}") from None
