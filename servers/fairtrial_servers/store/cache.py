"""Models that were fetched, kept on this machine's disk by their content and shared by all its processes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from fairtrial_servers.addresses import shown
from fairtrial_servers.errors import ModelError
from fairtrial_servers.store.archives import unpacked
from fairtrial_servers.store.entries import Entries, Entry, Incoming
from fairtrial_servers.store.interface import Progress, Received, Store, UnreachableError
from fairtrial_servers.store.locks import Lock
from fairtrial_servers.store.manifest import Manifest
from fairtrial_servers.store.receiving import Receiver
from fairtrial_servers.store.settings import Settings

logger = logging.getLogger("fairtrial.servers")


@dataclass(frozen=True)
class _Known:
    """What was at an address when it was last looked at."""

    key: str  # of the entry
    version: str | None


class Cache:
    """Raises ModelError from everything when its folder cannot be used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = settings.folder
        self._entries = Entries(settings.folder, settings.size)
        self._addresses = settings.folder / "addresses"
        self._addresses.mkdir(exist_ok=True, mode=0o700)

    def obtain(self, uri: str, store: Store, progress: Progress, digest: str | None = None) -> Entry:
        """The model at `uri`, checked: out of the cache where that is current, else fetched.

        `digest` is what it must have; a model that has it needs no store. Raises UnreachableError when the
        store does not answer, unless the settings are content with a copy; ModelError.
        """
        if digest is not None:
            kept = self.with_digest(digest)
            if kept is not None:
                return kept
        address = hashlib.sha256(store.identity(uri).encode("utf-8", "surrogateescape")).hexdigest()
        with self._disk_in_words(uri), Lock(self._addresses / f"{address}.lock"):
            entry = self._current(uri, store, progress, address)
        if digest is not None and entry.manifest.digest != digest:
            raise ModelError(
                f"{shown(uri)} is not the model that was asked for: it is {entry.manifest.digest}"
            )
        return entry

    def with_digest(self, digest: str) -> Entry | None:
        """A sound model with this digest, if one is kept."""
        for entry in self._entries.with_digest(digest):
            if entry.is_sound():
                return entry
            self._drop(entry)
        return None

    def _current(self, uri: str, store: Store, progress: Progress, address: str) -> Entry:
        """Called with the address locked: others that want the same wait, and find it."""
        known = self._recall(address)
        kept = self._entries.find(known.key) if known else None
        if kept is not None and store.is_fixed(uri):
            if kept.is_sound():
                return kept
            kept = self._drop(kept)
        incoming = self._entries.begin()
        try:
            version = known.version if known and kept else None
            received, manifest = self._receive(uri, store, progress, incoming, version)
            if not received.changed and kept is not None:
                if kept.is_sound():
                    return kept
                kept = self._drop(kept)
                received, manifest = self._receive(uri, store, progress, incoming, None)
            entry = self._entries.publish(incoming, manifest)
        except UnreachableError as error:
            return self._stale(kept, error)
        finally:
            incoming.discard()
        self._remember(address, uri, _Known(entry.manifest.key, received.version))
        return entry

    def _receive(
        self, uri: str, store: Store, progress: Progress, incoming: Incoming, version: str | None
    ) -> tuple[Received, Manifest]:
        """What the store says, and what has come: nothing where nothing has changed."""
        most = self._settings.size
        receiver = Receiver(incoming.model, shown(uri), most, progress, self._entries.make_room)
        received = store.download(uri, version, receiver)
        if received.changed and not receiver.files:
            raise ModelError(f"there is no model at {shown(uri)}: the folder is empty")
        manifest = Manifest.of(receiver.files, lone=received.lone)
        if received.changed and received.lone:
            manifest = unpacked(incoming.model, manifest, shown(uri), most)
        return received, manifest

    def _stale(self, kept: Entry | None, error: UnreachableError) -> Entry:
        if kept is None or not kept.is_sound():
            raise error
        if not self._settings.stale:
            raise UnreachableError(
                f"{error}; a copy of {kept.manifest.digest[:19]} is in the cache, which may be out of date: "
                f"FAIRTRIAL_CACHE_STALE=1 permits it"
            ) from None
        logger.warning("%s; its copy in the cache is used, as FAIRTRIAL_CACHE_STALE permits", error)
        return kept

    def _drop(self, entry: Entry) -> None:
        logger.warning("%s is damaged, and is fetched again", entry.path)
        self._entries.drop(entry)

    def _recall(self, address: str) -> _Known | None:
        try:
            said = json.loads((self._addresses / f"{address}.json").read_text(encoding="utf-8"))
            return _Known(str(said["key"]), said["version"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _remember(self, address: str, uri: str, known: _Known) -> None:
        said = {"address": shown(uri), "key": known.key, "version": known.version}
        handle, name = tempfile.mkstemp(dir=self._addresses, prefix="new-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(said, file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(self._addresses / f"{address}.json")

    @contextlib.contextmanager
    def _disk_in_words(self, uri: str) -> Generator[None]:
        try:
            yield
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            what = "the disk is full" if full else f"{error.strerror or error}"
            raise ModelError(
                f"{shown(uri)} cannot be kept in the cache {self._root}: {what}; "
                f"FAIRTRIAL_CACHE names another folder"
            ) from error
