"""The files of a load as they are sent to workers that have none of their own."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from fairtrial_loadtests.errors import BadLoadError
from fairtrial_loadtests.generated import Rows, rows_of
from fairtrial_loadtests.pace import Pace, pace_of
from fairtrial_loadtests.plan import LoadPlan

_MOST = 1 << 30  # bytes: one message takes no more than four times that


class PayloadFiles:
    """The files that a plan names, which do not change while the load goes on."""

    def __init__(self, plan: LoadPlan) -> None:
        self._files = _files(plan)
        requests = plan.requests
        self._read_as = repr(
            (requests.target, requests.unit, requests.exclude, requests.generate, plan.arrivals, plan.seed)
        )

    @cached_property
    def digest(self) -> str:
        """Of the bytes, and of all else that material is made of."""
        digest = hashlib.sha256(self._read_as.encode())
        for role, path in self._files.items():
            with path.open("rb") as file:
                digest.update(role.encode() + hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def read(self) -> dict[str, bytes]:
        """All of each, by what it is for. Raises BadLoadError if that is more than can be sent."""
        if sum(path.stat().st_size for path in self._files.values()) > _MOST:
            names = " and ".join(str(path) for path in self._files.values())
            raise BadLoadError(f"{names} have over 1 GB, which is too much to send to load workers.")
        return {role: path.read_bytes() for role, path in self._files.items()}


@dataclass(frozen=True)
class Material:
    """What is read of the files of a load."""

    data: Rows
    pace: Pace


def material_of(contents: Mapping[str, bytes], plan: LoadPlan) -> Material:
    """What the plan makes of the bytes of its files. Raises BadLoadError.

    Nothing of them stays on disk, however the process ends.
    """
    with tempfile.TemporaryDirectory(prefix="fairtrial-load-") as folder:
        here: dict[str, Path] = {}
        for role, path in _files(plan).items():
            here[role] = Path(folder) / role / path.name
            here[role].parent.mkdir()
            here[role].write_bytes(contents[role])
        arrivals = plan.arrivals
        if arrivals.trace is not None:
            arrivals = replace(arrivals, trace=replace(arrivals.trace, file=here["trace"]))
        requests = replace(plan.requests, data=here.get("data"))
        return Material(rows_of(replace(plan, requests=requests)), pace_of(arrivals, plan.seed))


def _files(plan: LoadPlan) -> dict[str, Path]:
    data, trace = plan.requests.data, plan.arrivals.trace
    files = {"data": data, "trace": trace.file if trace is not None else None}
    return {role: path for role, path in files.items() if path is not None}
