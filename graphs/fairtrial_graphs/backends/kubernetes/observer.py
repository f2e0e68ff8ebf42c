"""What is in the cluster, kept up by one watch for each kind, however many deployments are looked at."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence

from fairtrial_graphs.backends.kubernetes.api import Api, Object, Watch
from fairtrial_graphs.backends.kubernetes.errors import ApiError
from fairtrial_graphs.backends.kubernetes.keeping import reduced
from fairtrial_graphs.backends.kubernetes.kinds import Kind

_DEPLOYMENT = "seldon-deployment-id"  # the label of all that Seldon Core makes of a SeldonDeployment
_log = logging.getLogger(__name__)
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds, between attempts to list again


class Observer:
    """Objects of some kinds in a namespace, or in all. Threads begin with `start` and end with `stop`."""

    def __init__(self, api: Api, kinds: Sequence[Kind], namespace: str | None) -> None:
        self._kept = {kind: _Kept(api, kind, namespace, self._announce) for kind in kinds}
        self._changed = threading.Condition()
        self._changes = 0

    def start(self) -> None:
        """Returns once everything is known. Raises ApiError where something may not be listed."""
        for kept in self._kept.values():
            kept.list()
        for kept in self._kept.values():
            kept.start()

    def stop(self) -> None:
        for kept in self._kept.values():
            kept.stop()

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """None if there is none; of others what `keeping` keeps. Not to be changed."""
        return self._kept[kind].objects.get((namespace, name))

    def all(self, kind: Kind) -> list[Object]:
        """All of a kind; not to be changed."""
        return list(self._kept[kind].objects.values())

    def of_deployment(self, kind: Kind, namespace: str, name: str) -> list[Object]:
        """Those that Seldon Core made of the SeldonDeployment of this name, in the order of their names."""
        found = dict(self._kept[kind].of_deployment.get((namespace, name), {}))
        return [found[each] for each in sorted(found)]

    @property
    def changes(self) -> int:
        """How many there have been; for `wait`."""
        return self._changes

    def wait(self, seen: int, timeout: float) -> None:
        """Return once there have been more than `seen` changes, or after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._changes > seen, timeout)

    @property
    def trouble(self) -> str | None:
        """Why what is known may be old, in words; None while all watches go on."""
        return next((kept.trouble for kept in self._kept.values() if kept.trouble), None)

    def _announce(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()


class _Kept:
    """The objects of one kind."""

    def __init__(self, api: Api, kind: Kind, namespace: str | None, changed: Callable[[], None]) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.of_deployment: dict[tuple[str, str], dict[str, Object]] = {}
        self.trouble: str | None = None
        self._api = api
        self._kind = kind
        self._namespace = namespace
        self._changed = changed
        self._version = ""
        self._ending = threading.Event()
        self._watch: Watch | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch {kind.plural}", daemon=True)

    def list(self) -> None:
        items, self._version = self._api.list(self._kind, self._namespace)
        before, self.objects = self.objects, {}
        for each in before.values():
            self._index(each, gone=True)
        for each in items:
            self._keep(each)
        self._changed()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        if self._watch is not None:
            self._watch.stop()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _run(self) -> None:
        pauses: Iterator[float] = iter(_PAUSES)
        stale = False
        while not self._ending.is_set():
            try:
                if stale:
                    self.list()
                for kind, item in self._begun():
                    self.trouble, stale, pauses = None, False, iter(_PAUSES)
                    self._take(kind, item)
            except ApiError as error:
                # The watch is begun again where it broke; only a version that is too old asks for a list.
                stale = stale or error.code not in (0, 429, 500, 502, 503, 504)
                self._troubled(str(error), next(pauses, _PAUSES[-1]))
            except Exception as error:  # noqa: BLE001 - a watch that ended must not look like one at work
                stale = True
                self._troubled(f"{type(error).__name__}: {error}", next(pauses, _PAUSES[-1]))

    def _troubled(self, why: str, pause: float) -> None:
        self.trouble = f"{self._kind.plural} cannot be watched: {why}"
        _log.info("%s", self.trouble)
        self._ending.wait(pause)

    def _begun(self) -> Watch:
        self._watch = self._api.watch(self._kind, self._namespace, self._version)
        if self._ending.is_set():
            self._watch.stop()
        self.trouble = None
        return self._watch

    def _take(self, event: str, item: Object) -> None:
        self._version = item["metadata"]["resourceVersion"]
        if event == "BOOKMARK":
            return
        if event == "DELETED":
            self.objects.pop(_key(item), None)
            self._index(item, gone=True)
        else:
            self._keep(item)
        self._changed()

    def _keep(self, item: Object) -> None:
        item = reduced(self._kind, item)
        self.objects[_key(item)] = item
        self._index(item)

    def _index(self, item: Object, *, gone: bool = False) -> None:
        namespace, name = _key(item)
        deployment = (item["metadata"].get("labels") or {}).get(_DEPLOYMENT)
        if deployment is None:
            return
        # Replaced rather than changed: it may be read meanwhile.
        siblings = {**self.of_deployment.get((namespace, deployment), {}), name: item}
        if gone:
            del siblings[name]
        self.of_deployment[namespace, deployment] = siblings
        if not siblings:
            del self.of_deployment[namespace, deployment]


def _key(item: Object) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]
