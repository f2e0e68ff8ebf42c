"""All objects of a kind as they are now, kept up by a watch: what controllers call an informer."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import httpx
from cluster.client import Client, Object, RefusedError

Key = tuple[str, str]  # namespace, name


class Watched:
    """Lists, then watches, and lists again when the watch breaks. `changed` is called from its thread."""

    def __init__(
        self, client: Client, api_version: str, kind: str, changed: Callable[[Object], None]
    ) -> None:
        self._client = client
        self._kind = api_version, kind
        self._changed = changed
        self._objects: dict[Key, Object] = {}
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch {kind}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join(10)

    def get(self, namespace: str, name: str) -> Object | None:
        with self._lock:
            return self._objects.get((namespace, name))

    def all(self, namespace: str | None = None) -> list[Object]:
        with self._lock:
            found = list(self._objects.values())
        return [each for each in found if namespace in (None, each["metadata"].get("namespace"))]

    def _run(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(RefusedError, httpx.TransportError):
                self._follow()
            self._ending.wait(0.1)

    def _follow(self) -> None:
        items, version = self._client.listed(*self._kind)
        now = {key_of(each): each for each in items}
        with self._lock:
            before, self._objects = self._objects, now
        gone = [each for key, each in before.items() if key not in now]
        for each in (*gone, *now.values()):
            self._changed(each)
        for kind, item in self._client.watch(*self._kind, version, self._ending.is_set):
            with self._lock:
                if kind == "DELETED":
                    self._objects.pop(key_of(item), None)
                else:
                    self._objects[key_of(item)] = item
            self._changed(item)


def key_of(item: Object) -> Key:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]
