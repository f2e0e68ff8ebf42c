"""The models in the cache's folder: looked up, put in whole, and removed when room is needed.

    models/<key>/            one model; <key> follows from its files' names and content
        manifest.json, lock  the lock is shared by whoever uses the model, and taken to remove it
        model/               the files
    incoming/<random>/       the same, as it comes in; locked by the process that fetches it
    lock                     held for moments: while an entry appears or goes

What a killed process leaves in `incoming` is not locked, and goes with the next fetch.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fairtrial_servers.errors import ModelError
from fairtrial_servers.store.locks import Lock
from fairtrial_servers.store.manifest import Manifest
from fairtrial_servers.store.settings import in_words


@dataclass(frozen=True)
class Entry:
    """A model in the cache. While the object lives, the model stays."""

    folder: Path
    manifest: Manifest
    lock: Lock

    @property
    def path(self) -> Path:
        """The model: its file, or its folder."""
        inside = self.folder / "model"
        return inside / self.manifest.files[0].path if self.manifest.lone else inside

    def is_sound(self) -> bool:
        """Whether every file is what was fetched. Reads all of them."""
        return self.manifest.damage(self.folder / "model") is None


@dataclass(frozen=True)
class Incoming:
    """A folder for a model that is on its way."""

    folder: Path
    lock: Lock

    @property
    def model(self) -> Path:
        return self.folder / "model"

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.release()


class Entries:
    def __init__(self, root: Path, most_bytes: int) -> None:
        """Raises ModelError when the folder cannot be made or written to."""
        self._root = root
        self._most = most_bytes
        self._models = root / "models"
        self._incoming = root / "incoming"
        try:
            for folder in (self._models, self._incoming):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ModelError(
                f"the cache {root} cannot be written to: {error.strerror}; "
                f"FAIRTRIAL_CACHE names another folder"
            ) from error

    def find(self, key: str) -> Entry | None:
        """The model with this key, held from now on; None where there is none that can be read."""
        folder = self._models / key
        if not folder.is_dir():
            return None
        try:
            lock = Lock(folder / "lock")
            lock.share()
            manifest = Manifest.from_json((folder / "manifest.json").read_text(encoding="utf-8"))
            os.utime(folder / "lock")
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return Entry(folder, manifest, lock) if lock.is_current() and manifest.files else None

    def with_digest(self, digest: str) -> Iterator[Entry]:
        """The models with this digest, held from now on: one, or more under several names."""
        for folder in sorted(self._models.iterdir()):
            entry = self.find(folder.name)
            if entry is not None and entry.manifest.digest == digest:
                yield entry

    def drop(self, entry: Entry) -> None:
        """Remove a damaged model. Whoever has it open keeps what is open."""
        with Lock(self._root / "lock"):
            if entry.lock.is_current():
                self._remove(entry.folder)
        entry.lock.release()

    def begin(self) -> Incoming:
        """A folder to fetch into; clears what killed processes left."""
        with Lock(self._root / "lock"):
            for folder in self._incoming.iterdir():
                try:
                    left = Lock(folder / "lock")
                except OSError:  # its process is clearing it away
                    continue
                if left.try_take():
                    shutil.rmtree(folder, ignore_errors=True)
                left.release()
            folder = self._incoming / secrets.token_hex(8)
            (folder / "model").mkdir(parents=True, mode=0o700)
            lock = Lock(folder / "lock")
            lock.take()
        return Incoming(folder, lock)

    def publish(self, incoming: Incoming, manifest: Manifest) -> Entry:
        """Make a model that is complete an entry, held from now on. One that is there already is as good.

        Raises ModelError when there is no room among models in use.
        """
        with (incoming.folder / "manifest.json").open("x", encoding="utf-8") as file:
            file.write(manifest.to_json())
            file.flush()
            os.fsync(file.fileno())
        for folder, _, _ in os.walk(incoming.folder):
            _sync(Path(folder))
        with Lock(self._root / "lock"):
            there = self.find(manifest.key)
            if there is not None and there.is_sound():
                incoming.discard()
                return there
            place = self._models / manifest.key
            if place.exists():
                self._remove(place)
            self._make_room(manifest.size)
            incoming.folder.rename(place)
            _sync(self._models)
            incoming.lock.share()
            # The lock's name was another when it was opened; the file is the same.
            lock = Lock(place / "lock")
            lock.share()
        incoming.lock.release()
        return Entry(place, manifest, lock)

    def make_room(self, size: int) -> None:
        """Remove models that are not in use, the longest unused first, until `size` bytes more are kept.

        Raises ModelError when there is no room among models in use.
        """
        with Lock(self._root / "lock"):
            self._make_room(size)

    def _make_room(self, size: int) -> None:
        kept = {folder: _size_of(folder) for folder in self._models.iterdir()}
        total = sum(kept.values())
        for folder in sorted(kept, key=_last_used):
            if total + size <= self._most:
                return
            lock = Lock(folder / "lock")
            if lock.try_take():
                self._remove(folder)
                total -= kept[folder]
            lock.release()
        if total + size > self._most:
            raise ModelError(
                f"the cache {self._root} has no room for {in_words(size)}: models in use take "
                f"{in_words(total)} of {in_words(self._most)}; FAIRTRIAL_CACHE_SIZE says how much it keeps"
            )

    def _remove(self, folder: Path) -> None:
        # Moved away first: a removal that is cut off leaves no half of a model.
        away = self._incoming / secrets.token_hex(8)
        folder.rename(away)
        shutil.rmtree(away, ignore_errors=True)


def _size_of(folder: Path) -> int:
    try:
        return Manifest.from_json((folder / "manifest.json").read_text(encoding="utf-8")).size
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _last_used(folder: Path) -> float:
    try:
        return (folder / "lock").stat().st_mtime
    except OSError:
        return time.time()


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
