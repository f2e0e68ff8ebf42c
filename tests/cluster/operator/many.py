"""Many experiments at once, each with an end that is known beforehand, and what is true of them then."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from cluster.client import Object
from cluster.operator.conftest import EXPERIMENT, Cluster
from cluster.operator.scripted import BAD, GOOD, SAME
from cluster.seldon_operator import ISTIO, SELDON, weights_of
from cluster.watching import Watched

#: What becomes of an experiment, by what is done to it: its phase (None: it is gone), and who serves.
ENDS: dict[str, tuple[str | None, str]] = {
    "good": ("Promoted", "v2"),
    "bad": ("RolledBack", "v1"),
    "same": ("Inconclusive", "v1"),
    "crashing": ("Failed", "v1"),
    "aborted": ("Aborted", "v1"),
    "deleted": (None, "v1"),
}
_EVIDENCE = {"good": GOOD, "bad": BAD, "same": SAME}


@dataclass
class Many:
    """So many experiments of one namespace."""

    cluster: Cluster
    count: int
    splits: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """By experiment, the percentages of the candidate that were applied, in order."""

    def __post_init__(self) -> None:
        self._done: dict[str, Callable[[str], None]] = {
            "crashing": lambda name: self.cluster.unhealthy("v2", name),
            "aborted": lambda name: self.cluster.annotate(name, abort="true"),
            "deleted": self.cluster.delete,
        }

    def names(self) -> Iterator[tuple[str, str]]:
        """(name, what is done to it)"""
        kinds = list(ENDS)
        for number in range(self.count):
            kind = kinds[number % len(kinds)]
            yield f"{kind}-{number}", kind

    def create(self) -> None:
        for name, kind in self.names():
            self.cluster.create(name)
            source = self.cluster.source(name)
            if kind in _EVIDENCE:
                source.bring(6, _EVIDENCE[kind])
                source.bring(56, _EVIDENCE[kind])

    def drive(self, timeout: float, say: Callable[[str], None] = lambda _: None) -> None:
        """Do to each what is to be done, until all have ended. Raises TimeoutError with the others.

        say: told now and then how many have not.
        """
        told = time.monotonic()
        deadline = time.monotonic() + timeout
        done: set[str] = set()
        ended = threading.Event()
        seen: dict[str, Object] = {}
        changed = threading.Condition()

        def note(found: Object) -> None:
            with changed:
                seen[found["metadata"]["name"]] = found
                changed.notify_all()

        watched = Watched(self.cluster.api, *EXPERIMENT, note)
        watched.start()
        graphs = Watched(self.cluster.api, SELDON, "SeldonDeployment", self._note_split)
        graphs.start()
        try:
            while waiting := [name for name, kind in self.names() if not self._is_over(watched, name, kind)]:
                for name, kind in self.names():
                    running = (seen.get(name) or {}).get("status", {}).get("phase") == "Running"
                    if running and name not in done and kind in self._done:
                        done.add(name)
                        self._done[kind](name)
                if time.monotonic() - told > 30:
                    told = time.monotonic()
                    say(f"{len(waiting)} of {self.count} go on, such as {self._standing(waiting[0])}")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{len(waiting)} have not ended: {waiting[:10]}")
                with changed:
                    changed.wait(0.5)
        finally:
            ended.set()
            watched.stop()
            graphs.stop()

    def _standing(self, name: str) -> str:
        found = (self.cluster.get(name) or {}).get("status") or {}
        return f"{name}: {found.get('phase')}, {found.get('message')}"

    def troubles(self) -> list[str]:
        """All that is not as it should be, in words."""
        found: list[str] = []
        namespace, api = self.cluster.namespace, self.cluster.api
        for name, kind in self.names():
            phase, serves = ENDS[kind]
            resource = self.cluster.get(name)
            if phase is not None and resource is not None:
                if resource["status"]["phase"] != phase:
                    found.append(f"{name} is {resource['status']['phase']}: {resource['status']['message']}")
                if resource["metadata"].get("finalizers"):
                    found.append(f"{name} has a finalizer still")
                found += self._of_journal(name, resource["status"]["journal"])
            elif (phase is None) != (resource is None):
                found.append(f"{name} is there, or not, though it should not, or should")
            route = api.get(ISTIO, "VirtualService", name, namespace=namespace)
            if route is None or weights_of(route) != {serves: 100}:
                found.append(f"{name} is served by {route and weights_of(route)}, not {serves}")
            if any(after < before for before, after in pairwise(self.splits[name])
                   if after != 0):  # fmt: skip
                found.append(f"{name} went to and fro: {self.splits[name]}")
        leases = [
            each["metadata"]["name"]
            for each in api.list("coordination.k8s.io/v1", "Lease", namespace=namespace)
        ]
        found += [f"a lease is left: {name}" for name in leases if name != "fairtrial-operator"]
        for each in api.list("apps/v1", "Deployment", namespace=namespace):
            called, of = each["metadata"]["name"], each["metadata"]["labels"]["seldon-deployment-id"]
            if not called.startswith(f"{of}-{ENDS[of.split('-')[0]][1]}-"):
                found.append(f"an orphan is left: {called}")
        return found

    def _of_journal(self, name: str, journal: list[dict[str, Any]]) -> Iterator[str]:
        done = Counter(each["effect"] for each in journal if each["kind"] == "done" and "effect" in each)
        for effect in ("promote", "rollback"):
            if done[effect] > 1:
                yield f"{name} has made {effect} {done[effect]} times"
        revisions = [each["body"]["revision"] for each in journal
                     if each["kind"] == "done" and "revision" in each.get("body", {})]  # fmt: skip
        if revisions != sorted(revisions):
            yield f"{name} went back: {revisions}"

    def _is_over(self, watched: Watched, name: str, kind: str) -> bool:
        found = watched.get(self.cluster.namespace, name)
        if found is None:
            return ENDS[kind][0] is None
        return "ended" in ((found.get("status") or {}).get("run") or {}) and not found["metadata"].get(
            "finalizers"
        )

    def _note_split(self, graph: Object) -> None:
        if graph["metadata"]["namespace"] != self.cluster.namespace:
            return
        predictors = {each["name"]: each for each in graph["spec"]["predictors"]}
        candidate = predictors.get("v2")
        share = 0 if candidate is None else 100 if len(predictors) == 1 else candidate.get("traffic") or 0
        splits = self.splits[graph["metadata"]["name"]]
        if splits[-1:] != [share]:
            splits.append(share)
